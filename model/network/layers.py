"""Attention and the MLPs, each written as a sum that threads can share.

Attention's output is a sum over heads, an MLP's a sum over hidden units. So each thread computes the terms of
its own heads or units, from the tokens to the projection, without waiting for the others [1]_.
`model.network.fold` builds the layers; `model.network.stream` runs them.

B pictures have N tokens of width D; H heads have width d; an MLP has F hidden units. Matrices lie in P panels
of C columns each (`model.network.panels`).

References
----------
.. [1] Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model
   Parallelism", arXiv:1909.08053, section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.network.buffers import Buffers
from model.network.functional import BLOCK, Array, blocks, gelu, softmax_numerator, swiglu, trustworthy
from model.network.panels import product

SCORES = 1 << 18  # attention scores computed at a time; 1 MB stays in a core's cache


class Layer(Protocol):
    """A layer whose output is a bias and a sum of terms."""

    @property
    def units(self) -> int:
        """Number of terms."""

    @property
    def bias(self) -> Array:
        """Added once to the sum of all terms, (D,)."""

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some terms to `out`.

        Parameters
        ----------
        x : ndarray of float32, shape (B, N, D + 1)
            Normalised tokens, each with a one appended.
        units : slice
            Which terms: of attention, heads; of an MLP, panels of hidden units.
        buffers : Buffers
            Of the calling thread.
        out : ndarray of float32, shape (B, Q, D)
            Receives the sum for the first Q tokens: Q is N, or in attention also 1. An MLP has Q = N.
        """


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head self-attention.

    Attributes
    ----------
    qkv : ndarray of float32, shape (H, 3, D + 1, d)
        Maps to query, key and value of each head; ``1 / sqrt(d)`` is folded in. The last row is the bias,
        which is zero for keys and values.
    projection : ndarray of float32, shape (P, D, C)
        In panels.
    bias : ndarray of float32, shape (D,)
        Of the projection.
    """

    qkv: Array
    projection: Array
    bias: Array

    @property
    def units(self) -> int:
        """Number of heads."""
        return len(self.qkv)

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of the terms of some heads to `out`; see `Layer.terms`."""
        qkv = self.qkv[units]
        H, _, _, d = qkv.shape
        attended = buffers.take("attended", *out.shape[:2], H, d)
        if out.shape[1] == 1:
            attend_from_first(x, qkv, buffers, out=attended)
        else:
            attend_from_all(x, qkv, buffers, out=attended)
        rows = self.projection[:, units.start * d : units.stop * d]
        product(attended.reshape(*out.shape[:2], H * d), rows, out=out)


def attend_from_all(x: Array, qkv: Array, buffers: Buffers, out: Array) -> None:
    """Attention with a query from every token.

    Parameters
    ----------
    x : ndarray of float32, shape (B, N, D + 1)
    qkv : ndarray of float32, shape (H, 3, D + 1, d)
    buffers : Buffers
    out : ndarray of float32, shape (B, N, H, d)
        Receives each head's output.
    """
    B, N, H, d = out.shape
    projected = buffers.take("qkv", B, N, H, 3, d)
    product(x, qkv.reshape(H * 3, -1, d), out=projected.reshape(B, N, -1))
    query, key, value = projected.transpose(3, 0, 2, 1, 4)  # each (B, H, N, d)
    heads = min(H, max(1, BLOCK // N**2))
    images = max(1, BLOCK // (heads * N**2))
    for image in range(0, B, images):
        for head in range(0, H, heads):
            some = np.s_[image : image + images, head : head + heads]
            attend(query[some], key[some], value[some], buffers, out=out.swapaxes(1, 2)[some])


def attend_from_first(x: Array, qkv: Array, buffers: Buffers, out: Array) -> None:
    """Attention with a query from the first token only, without computing keys and values.

    With query ``q``, softmax's weights ``p``, and the matrices ``K`` and ``V`` that make keys and values of
    the tokens ``x``: ``q (x K)^T`` is ``(q K^T) x^T``, and ``p (x V)`` is ``(p x) V``. The tokens themselves
    serve as keys and values, and two products per head replace two per token.

    Parameters
    ----------
    x : ndarray of float32, shape (B, N, D + 1)
    qkv : ndarray of float32, shape (H, 3, D + 1, d)
    buffers : Buffers
    out : ndarray of float32, shape (B, 1, H, d)
        Receives each head's output.
    """
    to_query, to_key, to_value = qkv.swapaxes(0, 1)  # each (H, D + 1, d)
    query = np.matmul(x[:, 0], to_query)  # (H, B, d)
    token_query = np.matmul(query, to_key.swapaxes(1, 2)).swapaxes(0, 1)  # (B, H, D + 1)
    token_mean = buffers.take("token_mean", *token_query.shape)
    attend(token_query, x, x, buffers, out=token_mean)
    np.matmul(token_mean.swapaxes(0, 1), to_value, out=out[:, 0].swapaxes(0, 1))


def attend(query: Array, key: Array, value: Array, buffers: Buffers, out: Array) -> None:
    """Attention of some heads, ``softmax(query key^T) value``.

    Parameters
    ----------
    query : ndarray of float32, shape (..., Q, d)
        With ``1 / sqrt(d)`` folded in.
    key, value : ndarray of float32, shape (..., N, d)
    buffers : Buffers
    out : ndarray of float32, shape (..., Q, d)
        Receives the result.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.
    """
    *heads, Q, _ = query.shape
    N = key.shape[-2]
    step = max(1, SCORES // (math.prod(heads) * N))
    for start in range(0, Q, step):
        rows = np.s_[..., start : start + step, :]
        scores = buffers.take("scores", *heads, min(step, Q - start), N)
        np.matmul(query[rows], key.swapaxes(-1, -2), out=scores)
        denominator = softmax_numerator(scores)
        if not trustworthy(denominator):
            np.matmul(query[rows], key.swapaxes(-1, -2), out=scores)
            np.subtract(scores, scores.max(axis=-1, keepdims=True), out=scores)
            denominator = softmax_numerator(scores)
        weights = scores  # softmax works in place; still to be divided
        np.matmul(weights, value, out=out[rows])
        np.divide(out[rows], denominator, out=out[rows])


@dataclass(frozen=True, slots=True)
class Mlp:
    """Two linear maps with GELU between them.

    Attributes
    ----------
    fc1 : ndarray of float32, shape (P, D + 1, C)
        In panels; the last row is the bias.
    fc2 : ndarray of float32, shape (P', F, C')
        In panels.
    bias : ndarray of float32, shape (D,)
        Of `fc2`.
    """

    fc1: Array
    fc2: Array
    bias: Array

    @property
    def units(self) -> int:
        """Number of panels of hidden units."""
        return len(self.fc1)

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of the terms of some panels of hidden units to `out`; see `Layer.terms`."""
        fc1, columns = self.fc1[units], self.fc1.shape[2]
        hidden = buffers.take("hidden", x.shape[0] * x.shape[1], len(fc1) * columns)
        product(x, fc1, out=hidden)
        for rows in blocks(hidden):
            gelu(rows, buffers.take("scratch", 2, *rows.shape))
        product(hidden, self.fc2[:, units.start * columns : units.stop * columns], out=out)


@dataclass(frozen=True, slots=True)
class SwiGlu:
    """The gated MLP of DINOv2 giant, SwiGLU between linear maps.

    Attributes
    ----------
    gate, up : ndarray of float32, shape (P, D + 1, C)
        The halves of ``w12``, in panels; the last row is the bias.
    down : ndarray of float32, shape (P', F, C')
        In panels.
    bias : ndarray of float32, shape (D,)
        Of `down`.
    """

    gate: Array
    up: Array
    down: Array
    bias: Array

    @property
    def units(self) -> int:
        """Number of panels of hidden units."""
        return len(self.gate)

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of the terms of some panels of hidden units to `out`; see `Layer.terms`."""
        panels, columns = len(self.gate[units]), self.gate.shape[2]
        gate, up = buffers.take("gate_and_up", 2, x.shape[0] * x.shape[1], panels * columns)
        product(x, self.gate[units], out=gate)
        product(x, self.up[units], out=up)
        for gate_rows, up_rows in zip(blocks(gate), blocks(up), strict=True):
            swiglu(gate_rows, up_rows, buffers.take("scratch", *gate_rows.shape))
        product(gate, self.down[:, units.start * columns : units.stop * columns], out=out)
