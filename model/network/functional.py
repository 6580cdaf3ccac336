"""Pure functions of a ViT: written for NumPy, in place, in pieces that stay in a core's cache.

Each is checked in the tests against its plain formula.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Numbers gone through at a time. Smaller pieces lie nearer the core, but between two calls of NumPy a thread
# may have to wait for the interpreter's lock, and with pieces of 1 << 15 that costs 15 ms of a picture.
BLOCK = 1 << 17
_LEAST, _MOST = 1e-20, 1e20  # of a sum of exponentials: far from where float32 ends, at 1e-38 and 1e38

# -log(cdf(x) / (1 - cdf(x))) / x of the standard normal distribution, as a polynomial in x ** 2, highest
# power first. Minimax fit of x * cdf(x), error 7e-8; the signs let it saturate rather than turn where |x| is
# large.
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
    """Yield views of some rows of `x`, (T, W), after each other: pieces of about `BLOCK` numbers."""
    step = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), step):
        yield x[start : start + step]


def gelu(x: Array, scratch: Array) -> None:
    """Exact GELU, ``x * cdf(x)`` of the standard normal distribution, in place.

    Written as ``x * logistic(x * p(x ** 2))`` with a polynomial p: NumPy has a fast exp but no erf. The error
    is that of float32, below 2e-7 of max(1, abs(x)); the usual approximation with tanh is off by 5e-4.

    Parameters
    ----------
    x : ndarray of float32, shape (R, W)
        Overwritten with the result.
    scratch : ndarray of float32, shape (2, R, W)
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
    gate, up : ndarray of float32, shape (R, W)
        `gate` is overwritten with the result.
    scratch : ndarray of float32, shape (R, W)
        Overwritten.

    References
    ----------
    .. [1] Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202.
    """
    np.negative(gate, out=scratch)
    with _saturating():
        _divide_by_one_plus_exp(gate, scratch)
    np.multiply(gate, up, out=gate)


def normalise(x: Array, eps: float, out: Array) -> None:
    """LayerNorm without weight and bias, of rows whose mean is zero: each divided by its deviation.

    Parameters
    ----------
    x : ndarray of float32, shape (T, D)
        `model.network.fold` keeps the mean of every token at zero.
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
    """Softmax over the last axis but for the division, in place.

    The division is left to the caller: after the product with the values there is less to divide. Taking each
    row's maximum away first, as is usual, cancels out; it costs two more ways through the scores, and is
    needed only where the denominators come out not `trustworthy`.

    Parameters
    ----------
    scores : ndarray of float32, shape (..., N)
        Overwritten with the exponentials.

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
    """Tell whether a softmax without its maximum kept within float32, by its denominators alone.

    A sum within these bounds has no infinite term and has lost none that counts, and leaves room for the
    product with the values.
    """
    return bool(denominator.min() > _LEAST and denominator.max() < _MOST)


def _saturating() -> np.errstate:
    """Let what is too large become infinite: the logistic function is then 0 or 1, as it should be."""
    return np.errstate(over="ignore")


def _divide_by_one_plus_exp(x: Array, exponent: Array) -> None:
    np.exp(exponent, out=exponent)
    np.add(exponent, np.float32(1), out=exponent)
    np.divide(x, exponent, out=x)
