"""Activations, LayerNorm and softmax: in place, in pieces that stay in a core's cache.

`model.network.layers` and `model.network.stream` call these. Imports NumPy only. The tests compare each with
its formula in float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Numbers in one piece. Smaller pieces stay nearer the core, but between two calls of NumPy a thread may have
# to wait for the interpreter's lock: pieces of 1 << 15 cost 15 ms more per picture (ViT-B/14).
BLOCK = 1 << 17
_LEAST, _MOST = 1e-20, 1e20  # bounds of a sum of exponentials, far from float32's own, 1e-38 and 1e38

# -log(cdf(x) / (1 - cdf(x))) / x of the standard normal distribution, as a polynomial in x ** 2, highest
# power first. Minimax fit of x * cdf(x), error 7e-8. The signs make it saturate, not turn back, for large x.
_GELU_LOGIT = np.array(
    [
        -3.62784987e-09,
        2.67566189e-07,
        -7.94813815e-06,
        1.10546749e-04,
        6.60534819e-05,
        -7.26682983e-02,
        -1.59576854,
    ],
    dtype=np.float32,
)


def blocks(x: Array) -> Iterator[Array]:
    """Yield consecutive rows of an array as views of about `BLOCK` numbers each.

    Parameters
    ----------
    x : ndarray of float32, shape (T, F)

    Yields
    ------
    ndarray of float32, shape (t, F)
    """
    step = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), step):
        yield x[start : start + step]


def gelu(x: Array, scratch: Array) -> None:
    """Exact GELU, ``x * cdf(x)`` of the standard normal distribution, in place.

    Computed as ``x * logistic(x * p(x ** 2))`` with a polynomial p, because NumPy has a fast exp but no erf.
    The error is that of float32, below 2e-7 of max(1, abs(x)); the common approximation with tanh is off by
    5e-4.

    Parameters
    ----------
    x : ndarray of float32, shape (R, F)
        Overwritten with the result.
    scratch : ndarray of float32, shape (2, R, F)
        Overwritten.

    References
    ----------
    .. [1] Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415.
    """
    square, logit = scratch
    with _saturating():
        np.square(x, out=square)
        np.multiply(square, _GELU_LOGIT[0], out=logit)
        for coefficient in _GELU_LOGIT[1:-1]:
            np.add(logit, coefficient, out=logit)
            np.multiply(logit, square, out=logit)
        np.add(logit, _GELU_LOGIT[-1], out=logit)
        np.multiply(logit, x, out=logit)
        _divide_by_one_plus_exp(x, logit)


def swiglu(gate: Array, up: Array, scratch: Array) -> None:
    """SwiGLU, ``gate * logistic(gate) * up``, in place.

    Parameters
    ----------
    gate, up : ndarray of float32, shape (R, F)
        `gate` is overwritten with the result.
    scratch : ndarray of float32, shape (R, F)
        Overwritten.

    References
    ----------
    .. [1] Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202.
    """
    np.negative(gate, out=scratch)
    with _saturating():
        _divide_by_one_plus_exp(gate, scratch)
    np.multiply(gate, up, out=gate)


def layer_norm(x: Array, eps: float, out: Array) -> None:
    """LayerNorm of rows whose mean is zero, without weight and bias: each row divided by its deviation.

    Parameters
    ----------
    x : ndarray of float32, shape (T, D)
        Tokens, whose mean `model.network.fold` keeps at zero.
    eps : float
        Added to the variance.
    out : ndarray of float32, shape (T, D)
        Receives the result.

    References
    ----------
    .. [1] Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450.
    """
    variance = np.vecdot(x, x) / np.float32(x.shape[1])
    np.multiply(x, 1 / np.sqrt(variance + np.float32(eps))[:, None], out=out)


def softmax_numerator(scores: Array) -> Array:
    """Softmax over the last axis without its division, in place.

    The caller divides after the product with the values, where there is less to divide. Subtracting each
    row's maximum first, as is usual, cancels out in the end; it costs two more passes over the scores, and is
    needed only when the denominators are not `trustworthy`.

    Parameters
    ----------
    scores : ndarray of float32, shape (..., N)
        Overwritten with the exponentials, softmax's weights before the division.

    Returns
    -------
    ndarray of float32, shape (..., 1)
        The denominators.
    """
    with _saturating():
        np.exp(scores, out=scores)
        denominator: Array = np.matmul(scores, np.ones((scores.shape[-1], 1), np.float32))
    return denominator


def trustworthy(denominator: Array) -> bool:
    """Return whether a softmax computed without subtracting the maximum stayed within float32.

    A denominator within the bounds has no infinite term, has lost no term that matters, and leaves a margin
    for the product with the values.

    Parameters
    ----------
    denominator : ndarray of float32
        As `softmax_numerator` returns it.
    """
    return bool(denominator.min() > _LEAST and denominator.max() < _MOST)


def _saturating() -> np.errstate:
    """Allow overflow to infinity: the logistic function is then 0 or 1, which is right."""
    return np.errstate(over="ignore")


def _divide_by_one_plus_exp(x: Array, exponent: Array) -> None:
    np.exp(exponent, out=exponent)
    np.add(exponent, np.float32(1), out=exponent)
    np.divide(x, exponent, out=x)
