"""Folding: constants are multiplied into the matrices once, instead of for every picture.

Folding changes where something is computed, not the result. With LayerNorm
``y = (x - mean) / deviation * g + c``:

- The norm's weight g and bias c move into the map that follows: ``y W + b`` is
  ``((x - mean) / deviation) (diag(g) W) + (c W + b)``, and that bias becomes one more row of the matrix.
- LayerScale's gamma moves into the map before it: ``(y W + b) * gamma`` is ``y (W diag(gamma)) + b * gamma``.
- Attention's ``1 / sqrt(d)`` moves into the query's matrix and bias.
- The key's bias adds the same number to all scores of a query, which softmax cancels: it is dropped.
- The value's bias passes through attention unchanged, because softmax's weights sum to 1: it moves into the
  bias of the projection that follows.
- The mean that every LayerNorm subtracts is zero from the start: everything that is added to the tokens
  (patches, positions, prefix, the layers' outputs) is centred here, once.

`model.encoder` calls `fold` on a checkpoint that `model.checkpoints.weights` has opened. Sums are computed
with einsum, which does not call BLAS: worker processes fork after loading, and BLAS's threads do not survive
that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.checkpoints.weights import Weights
from model.network.buffers import aligned
from model.network.functional import Array
from model.network.layers import Attention, Layer, Mlp, SwiGlu
from model.network.panels import cut


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear map with bias, ``y = x W + b``: weight (into, out), bias (out,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Norm:
    """Weight and bias of a LayerNorm, each (D,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Block:
    """One transformer block: attention and MLP, with their LayerNorms and LayerScales folded in."""

    attention: Attention
    mlp: Layer


@dataclass(frozen=True, slots=True)
class Parameters:
    """A whole ViT, folded.

    Attributes
    ----------
    patch_embed : ndarray of float32, shape (P, 3 p p, C)
        In panels; rows in the order (channel, row, column) of a patch's pixels.
    patch_bias : ndarray of float32, shape (D,)
    prefix : ndarray of float32, shape (1 + R, D)
        The CLS token with its position added, then the registers, which have no position.
    positions : ndarray of float32, shape (G, G, D)
        Position embeddings of the patches.
    blocks : tuple of Block
    norm_weight, norm_bias : ndarray of float32, shape (D,)
        Of the final LayerNorm.
    """

    patch_embed: Array
    patch_bias: Array
    prefix: Array
    positions: Array
    blocks: tuple[Block, ...]
    norm_weight: Array
    norm_bias: Array


def fold(weights: Weights) -> Parameters:
    """Read a checkpoint's parameters and fold them.

    Parameters
    ----------
    weights : Weights
        An open checkpoint; each tensor is read once and released.

    Returns
    -------
    `Parameters`

    Raises
    ------
    CheckpointError
        A tensor cannot be read.
    """
    config = weights.config
    table = centre(weights.read("pos_embed")[0])
    prefix = centre(weights.read("cls_token")[0]) + table[:1]
    if config.registers:
        prefix = np.concatenate([prefix, centre(weights.read("register_tokens")[0])])
    patch_embed = centre_output(_read_linear(weights, "patch_embed.proj"))
    return Parameters(
        patch_embed=cut(patch_embed.weight),
        patch_bias=patch_embed.bias,
        prefix=prefix,
        positions=table[1:].reshape(config.grid, config.grid, config.width),
        blocks=tuple(_read_block(weights, f"blocks.{index}") for index in range(config.depth)),
        norm_weight=weights.read("norm.weight"),
        norm_bias=weights.read("norm.bias"),
    )


def _read_block(weights: Weights, block: str) -> Block:
    def linear(name: str) -> Linear:
        return _read_linear(weights, f"{block}.{name}")

    def norm(name: str) -> Norm:
        return Norm(weights.read(f"{block}.{name}.weight"), weights.read(f"{block}.{name}.bias"))

    scale1, scale2 = weights.read(f"{block}.ls1.gamma"), weights.read(f"{block}.ls2.gamma")
    attention = fold_attention(
        linear("attn.qkv"), linear("attn.proj"), norm("norm1"), scale1, weights.config.heads
    )
    if weights.config.mlp == "gelu":
        fc1, fc2 = fold_norm(linear("mlp.fc1"), norm("norm2")), fold_scale(linear("mlp.fc2"), scale2)
        return Block(attention, Mlp(cut(fc1), cut(fc2.weight), fc2.bias))
    gate, up = (fold_norm(half, norm("norm2")) for half in split(linear("mlp.w12"), 2))
    down = fold_scale(linear("mlp.w3"), scale2)
    return Block(attention, SwiGlu(cut(gate), cut(up), cut(down.weight), down.bias))


def _read_linear(weights: Weights, name: str) -> Linear:
    """Read a map whose matrix is stored as (out, ...); it is transposed as a view, not copied."""
    stored = weights.read(f"{name}.weight")
    return Linear(stored.reshape(len(stored), -1).T, weights.read(f"{name}.bias"))


def fold_norm(linear: Linear, norm: Norm) -> Array:
    """Fold a LayerNorm's weight and bias into the map that follows it.

    Parameters
    ----------
    linear : Linear
        Weight of shape (into, out).
    norm : Norm

    Returns
    -------
    ndarray of float32, shape (into + 1, out)
        For tokens with a one appended: the last row is the bias.
    """
    into, out = linear.weight.shape
    matrix = np.empty((out, into + 1), np.float32).T  # in the stored order; `cut` transposes once
    np.multiply(linear.weight, norm.weight[:, None], out=matrix[:-1])
    matrix[-1] = linear.bias + np.einsum("io,i->o", linear.weight, norm.bias)
    return matrix


def fold_scale(linear: Linear, gamma: Array) -> Linear:
    """Fold a LayerScale's gamma into the map before it, and centre the map's output."""
    return centre_output(Linear(linear.weight * gamma, linear.bias * gamma))


def centre(tokens: Array) -> Array:
    """Subtract each token's mean, (..., D)."""
    centred: Array = tokens - tokens.mean(axis=-1, keepdims=True)
    return centred


def centre_output(linear: Linear) -> Linear:
    """Change a map so that it subtracts the mean of its output."""
    mean = linear.weight.mean(axis=1, keepdims=True)
    return Linear(linear.weight - mean, linear.bias - linear.bias.mean())


def fold_attention(qkv: Linear, projection: Linear, norm: Norm, gamma: Array, heads: int) -> Attention:
    """Build an attention layer without scaling, and without biases but the query's and the projection's.

    Parameters
    ----------
    qkv : Linear
        Query, key and value side by side, (D, 3 D).
    projection : Linear
    norm : Norm
        The LayerNorm before `qkv`.
    gamma : ndarray of float32, shape (D,)
        Of the LayerScale after `projection`.
    heads : int

    Returns
    -------
    Attention
    """
    D = len(qkv.weight)
    matrix = fold_norm(qkv, norm)
    scale = np.float32((D // heads) ** -0.5)
    matrix[:, :D] *= scale
    from_value_bias = np.einsum("i,io->o", matrix[-1, 2 * D :], projection.weight)
    matrix[-1, D:] = 0
    parts = aligned(heads, 3, D + 1, D // heads)
    np.copyto(parts, matrix.reshape(D + 1, 3, heads, -1).transpose(2, 1, 0, 3))
    out = fold_scale(Linear(projection.weight, projection.bias + from_value_bias), gamma)
    return Attention(parts, cut(out.weight), out.bias)


def split(linear: Linear, parts: int) -> list[Linear]:
    """Split a map into several that give equal parts of its output, without copying."""
    return list(map(Linear, np.split(linear.weight, parts, axis=1), np.split(linear.bias, parts)))
