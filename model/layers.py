"""The two layers of a block, each a sum that threads can share.

Attention's output is a sum over heads, and an MLP's a sum over hidden units; so each thread computes the
terms of its own heads or units, from the token to the projection, without waiting for the others [1]_.

References
----------
.. [1] Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model
   Parallelism", arXiv:1909.08053, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.buffers import Buffers
from model.functional import BLOCK, Array, gelu, softmax_numerator, swiglu

SCORES = 1 << 18  # numbers of attention's scores that are made at a time; 1 MB stays in a core's cache


@dataclass(frozen=True, slots=True)
class Linear:
    """An affine map ``y = x W^T + b``.

    Attributes
    ----------
    weight : ndarray of float32, shape (out, into)
    bias : ndarray of float32, shape (out,)
    """

    weight: Array
    bias: Array


class Layer(Protocol):
    """A layer whose output is a bias and a sum of terms."""

    @property
    def units(self) -> int:
        """Number of terms."""

    @property
    def bias(self) -> Array:
        """What is added to the terms, (D,)."""

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some terms to `out`."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head self-attention.

    Attributes
    ----------
    query : Linear
        Rows of head after head; ``1 / sqrt(d)`` is folded in.
    key, value : ndarray of float32, shape (D, D)
        Matrices; their biases are folded away.
    projection : Linear
    units : int
        Number of heads.
    """

    query: Linear
    key: Array
    value: Array
    projection: Linear
    units: int

    @property
    def bias(self) -> Array:
        """What is added to the heads' terms, (D,)."""
        return self.projection.bias

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some heads' terms to `out`.

        Parameters
        ----------
        x : ndarray of float32, shape (B, N, D)
            Standardised tokens.
        units : slice
            The heads.
        buffers : Buffers
        out : ndarray of float32, shape (B, Q, D)
            Q is N, or 1: then only the first token of each picture asks, and all answer.
        """
        d = x.shape[2] // self.units
        columns = slice(units.start * d, units.stop * d)
        attended = buffers.take("attended", *out.shape[:2], columns.stop - columns.start)
        if out.shape[1] == 1:
            self._attend_from_first(x, units, columns, buffers, attended)
        else:
            self._attend_from_all(x, columns, buffers, attended)
        product(attended, self.projection.weight[:, columns], out=out)

    def _attend_from_all(self, x: Array, columns: slice, buffers: Buffers, attended: Array) -> None:
        q, k, v = buffers.take("qkv", 3, *attended.shape)
        product(x, self.query.weight[columns], out=q)
        product(x, self.key[columns], out=k)
        product(x, self.value[columns], out=v)
        np.add(q, self.query.bias[columns], out=q)
        (B, N, width), d = attended.shape, x.shape[2] // self.units
        heads = width // d
        q, k, v, out = (part.reshape(B, N, heads, d).swapaxes(1, 2) for part in (q, k, v, attended))
        step = max(1, BLOCK // N**2)
        for image in range(B):
            for start in range(0, heads, step):
                some = np.s_[image, start : start + step]
                attend(q[some], k[some], v[some], buffers, out=out[some])

    def _attend_from_first(
        self, x: Array, units: slice, columns: slice, buffers: Buffers, attended: Array
    ) -> None:
        """Let the first token of each picture ask, without making keys and values.

        ``q (x K^T)^T`` is ``(q K) x^T``, and ``p (x V^T)`` is ``(p x) V^T``: a query for each head costs less
        than a key and a value for each token.
        """
        B, N, D = x.shape
        heads, d = units.stop - units.start, D // self.units
        key, value = (matrix[columns].reshape(heads, d, D) for matrix in (self.key, self.value))
        q = np.matmul(x[:, 0], self.query.weight[columns].T) + self.query.bias[columns]
        scores = buffers.take("scores", heads, N)
        for image in range(B):
            asked = np.matmul(q[image].reshape(heads, 1, d), key)[:, 0]  # (heads, D)
            np.matmul(asked, x[image].T, out=scores)
            denominator = softmax_numerator(scores)
            mixed = np.matmul(scores, x[image]) / denominator  # (heads, D)
            np.matmul(value, mixed[:, :, None], out=attended[image].reshape(heads, d, 1))


def attend(q: Array, k: Array, v: Array, buffers: Buffers, out: Array) -> None:
    """Attention of some heads, ``softmax(q k^T) v``.

    Parameters
    ----------
    q : ndarray of float32, shape (H, Q, d)
    k, v : ndarray of float32, shape (H, N, d)
    buffers : Buffers
    out : ndarray of float32, shape (H, Q, d)
        Receives the result.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.
    """
    (H, Q, _), N = q.shape, k.shape[1]
    step = max(1, SCORES // (H * N))
    for start in range(0, Q, step):
        rows = np.s_[:, start : min(start + step, Q)]
        scores = buffers.take("scores", H, min(step, Q - start), N)
        np.matmul(q[rows], k.swapaxes(1, 2), out=scores)
        denominator = softmax_numerator(scores)
        np.matmul(scores, v, out=out[rows])
        np.divide(out[rows], denominator, out=out[rows])


@dataclass(frozen=True, slots=True)
class Mlp:
    """Two affine maps with GELU between them."""

    fc1: Linear
    fc2: Linear

    @property
    def units(self) -> int:
        """Number of hidden units."""
        return len(self.fc1.bias)

    @property
    def bias(self) -> Array:
        """What is added to the units' terms, (D,)."""
        return self.fc2.bias

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some hidden units' terms to `out`; both are (B, N, D)."""
        width = units.stop - units.start
        hidden = buffers.take("hidden", x.shape[0] * x.shape[1], width)
        product(x, self.fc1.weight[units], out=hidden)
        step = max(1, BLOCK // width)
        scratch = buffers.take("scratch", 2, step, width)
        for start in range(0, len(hidden), step):
            rows = slice(start, start + step)
            np.add(hidden[rows], self.fc1.bias[units], out=hidden[rows])
            gelu(hidden[rows], scratch)
        product(hidden, self.fc2.weight[:, units], out=out)


@dataclass(frozen=True, slots=True)
class SwiGlu:
    """The gated MLP of DINOv2 giant; `gate` and `up` are the halves of ``w12``."""

    gate: Linear
    up: Linear
    down: Linear

    @property
    def units(self) -> int:
        """Number of hidden units."""
        return len(self.gate.bias)

    @property
    def bias(self) -> Array:
        """What is added to the units' terms, (D,)."""
        return self.down.bias

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some hidden units' terms to `out`; both are (B, N, D)."""
        width = units.stop - units.start
        gate, up = buffers.take("gate_and_up", 2, x.shape[0] * x.shape[1], width)
        product(x, self.gate.weight[units], out=gate)
        product(x, self.up.weight[units], out=up)
        step = max(1, BLOCK // width)
        scratch = buffers.take("scratch", step, width)
        for start in range(0, len(gate), step):
            rows = slice(start, start + step)
            np.add(gate[rows], self.gate.bias[units], out=gate[rows])
            np.add(up[rows], self.up.bias[units], out=up[rows])
            swiglu(gate[rows], up[rows], scratch)
        product(gate, self.down.weight[:, units], out=out)


def product(x: Array, weight: Array, out: Array) -> None:
    """Multiply all tokens by a matrix in one BLAS call: ``out = x weight^T``.

    Parameters
    ----------
    x : ndarray of float32, shape (..., into)
        C-contiguous.
    weight : ndarray of float32, shape (out, into)
        Rows or columns may be a slice of a larger matrix.
    out : ndarray of float32, shape (..., out)
        C-contiguous; receives the result.
    """
    np.matmul(x.reshape(-1, x.shape[-1]), weight.T, out=out.reshape(-1, out.shape[-1]))
