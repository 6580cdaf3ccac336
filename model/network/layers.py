"""The two layers of a block, each a sum that threads can share.

Attention's output is a sum over heads, and an MLP's a sum over hidden units; so each thread computes the
terms of its own heads or units, from the token to the projection, without waiting for the others [1]_.

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

SCORES = 1 << 18  # numbers of attention's scores that are made at a time; 1 MB stays in a core's cache


class Layer(Protocol):
    """A layer whose output is a bias and a sum of terms."""

    @property
    def units(self) -> int:
        """Number of terms."""

    @property
    def bias(self) -> Array:
        """What is added to the terms once, (D,)."""

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some terms to `out`."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head self-attention.

    Attributes
    ----------
    qkv : ndarray of float32, shape (H, 3, D + 1, d)
        Query, key and value of each head; ``1 / sqrt(d)`` is folded in. The last row is the bias, which keys
        and values have none of.
    projection : ndarray of float32, shape (P, D, W)
        In panels.
    bias : ndarray of float32, shape (D,)
        The projection's.
    """

    qkv: Array
    projection: Array
    bias: Array

    @property
    def units(self) -> int:
        """Number of heads."""
        return len(self.qkv)

    def terms(self, x: Array, units: slice, buffers: Buffers, out: Array) -> None:
        """Write the sum of some heads' terms to `out`.

        Parameters
        ----------
        x : ndarray of float32, shape (B, N, D + 1)
            Standardised tokens, each with a one at its end.
        units : slice
            The heads.
        buffers : Buffers
        out : ndarray of float32, shape (B, Q, D)
            Q is N, or 1: then only the first token of each picture asks, and all answer.
        """
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
    """Let every token ask.

    Parameters
    ----------
    x : ndarray of float32, shape (B, N, D + 1)
    qkv : ndarray of float32, shape (H, 3, D + 1, d)
    buffers : Buffers
    out : ndarray of float32, shape (B, N, H, d)
        Receives what each head attends to.
    """
    B, N, H, d = out.shape
    asked = buffers.take("qkv", B, N, H, 3, d)
    product(x, qkv.reshape(H * 3, -1, d), out=asked.reshape(B, N, -1))
    q, k, v = asked.transpose(3, 0, 2, 1, 4)  # each (B, H, N, d)
    heads = min(H, max(1, BLOCK // N**2))
    images = max(1, BLOCK // (heads * N**2))
    for image in range(0, B, images):
        for head in range(0, H, heads):
            some = np.s_[image : image + images, head : head + heads]
            attend(q[some], k[some], v[some], buffers, out=out.swapaxes(1, 2)[some])


def attend_from_first(x: Array, qkv: Array, buffers: Buffers, out: Array) -> None:
    """Let the first token of each picture ask, without making keys and values.

    ``q (x K)^T`` is ``(q K^T) x^T``, and ``p (x V)`` is ``(p x) V``: a query for each head costs less than a
    key and a value for each token.

    Parameters
    ----------
    x : ndarray of float32, shape (B, N, D + 1)
    qkv : ndarray of float32, shape (H, 3, D + 1, d)
    buffers : Buffers
    out : ndarray of float32, shape (B, 1, H, d)
        Receives what each head attends to.
    """
    query, key, value = qkv.swapaxes(0, 1)  # each (H, D + 1, d)
    q = np.matmul(x[:, 0], query)  # (H, B, d)
    asked = np.matmul(q, key.swapaxes(1, 2)).swapaxes(0, 1)  # (B, H, D + 1)
    mixed = buffers.take("mixed", *asked.shape)
    attend(asked, x, x, buffers, out=mixed)
    np.matmul(mixed.swapaxes(0, 1), value, out=out[:, 0].swapaxes(0, 1))


def attend(q: Array, k: Array, v: Array, buffers: Buffers, out: Array) -> None:
    """Attention of some heads, ``softmax(q k^T) v``.

    Parameters
    ----------
    q : ndarray of float32, shape (..., Q, d)
    k, v : ndarray of float32, shape (..., N, d)
    buffers : Buffers
    out : ndarray of float32, shape (..., Q, d)
        Receives the result.

    References
    ----------
    .. [1] Vaswani et al., "Attention Is All You Need", arXiv:1706.03762.
    """
    *heads, Q, _ = q.shape
    N = k.shape[-2]
    step = max(1, SCORES // (math.prod(heads) * N))
    for start in range(0, Q, step):
        rows = np.s_[..., start : start + step, :]
        scores = buffers.take("scores", *heads, min(step, Q - start), N)
        np.matmul(q[rows], k.swapaxes(-1, -2), out=scores)
        denominator = softmax_numerator(scores)
        if not trustworthy(denominator):
            np.matmul(q[rows], k.swapaxes(-1, -2), out=scores)
            np.subtract(scores, scores.max(axis=-1, keepdims=True), out=scores)
            denominator = softmax_numerator(scores)
        np.matmul(scores, v, out=out[rows])
        np.divide(out[rows], denominator, out=out[rows])


@dataclass(frozen=True, slots=True)
class Mlp:
    """Two affine maps with GELU between them.

    Attributes
    ----------
    fc1 : ndarray of float32, shape (P, D + 1, W)
        In panels; the last row is the bias.
    fc2 : ndarray of float32, shape (P', F, W')
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
        """Write the sum of some hidden units' terms, (B, N, D), to `out`; `x` is as attention takes it."""
        fc1, width = self.fc1[units], self.fc1.shape[2]
        hidden = buffers.take("hidden", x.shape[0] * x.shape[1], len(fc1) * width)
        product(x, fc1, out=hidden)
        for rows in blocks(hidden):
            gelu(rows, buffers.take("scratch", 2, *rows.shape))
        product(hidden, self.fc2[:, units.start * width : units.stop * width], out=out)


@dataclass(frozen=True, slots=True)
class SwiGlu:
    """The gated MLP of DINOv2 giant.

    Attributes
    ----------
    gate, up : ndarray of float32, shape (P, D + 1, W)
        The halves of ``w12``, in panels; the last row is the bias.
    down : ndarray of float32, shape (P', F, W')
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
        """Write the sum of some hidden units' terms, (B, N, D), to `out`; `x` is as attention takes it."""
        panels, width = len(self.gate[units]), self.gate.shape[2]
        gate, up = buffers.take("gate_and_up", 2, x.shape[0] * x.shape[1], panels * width)
        product(x, self.gate[units], out=gate)
        product(x, self.up[units], out=up)
        for gate_rows, up_rows in zip(blocks(gate), blocks(up), strict=True):
            swiglu(gate_rows, up_rows, buffers.take("scratch", *gate_rows.shape))
        product(gate, self.down[:, units.start * width : units.stop * width], out=out)
