"""Folding: what can be multiplied into the matrices once is not computed for every picture.

Nothing here changes what the network computes, only where. With LayerNorm's ``y = (x - mean) / deviation * g
+ c``:

- The norm's weight g and bias c move into the map that follows: ``y W + b`` is
  ``((x - mean) / deviation) (diag(g) W) + (c W + b)``, and that bias becomes one more row of the matrix.
- LayerScale's gamma moves into the map before it: ``(y W + b) * gamma`` is ``y (W diag(gamma)) + b * gamma``.
- Attention's ``1 / sqrt(d)`` moves into the queries' matrix and bias.
- The keys' bias adds the same number to all scores of a query, and softmax does not see that: it goes.
- The mean that every LayerNorm takes away is not put in: whatever is added to the tokens (patches, positions,
  prefix, what the layers add) has its own mean taken away here, once, and the tokens' mean stays zero.
- Softmax's weights sum to 1, so the values' bias passes through attention unchanged: it moves into the bias
  of the projection that follows.

Sums are made with einsum, which calls no BLAS: worker processes fork after loading, and BLAS's threads do not
survive that.
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
    """An affine map ``y = x W + b``: weight (into, out), bias (out,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Norm:
    """A LayerNorm's weight and bias, (D,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Block:
    """One block: two layers, with their norms and scales folded in."""

    attention: Attention
    mlp: Layer


@dataclass(frozen=True, slots=True)
class Parameters:
    """A whole ViT, folded.

    Attributes
    ----------
    patch_embed : ndarray of float32, shape (P, 3 p p, W)
        In panels; rows in the order (channel, row, column) of a patch's pixels.
    patch_bias : ndarray of float32, shape (D,)
    prefix : ndarray of float32, shape (1 + R, D)
        The CLS token, its position added, and the registers, which have none.
    positions : ndarray of float32, shape (G, G, D)
        The patches' table.
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
        Open; each tensor is read once and let go.
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
    """Read a map whose matrix is stored as (out, ...); it is turned, not copied."""
    stored = weights.read(f"{name}.weight")
    return Linear(stored.reshape(len(stored), -1).T, weights.read(f"{name}.bias"))


def fold_norm(linear: Linear, norm: Norm) -> Array:
    """Take a LayerNorm's weight and bias into the map that follows it.

    Returns
    -------
    ndarray of float32, shape (into + 1, out)
        For tokens with a one at their end: the last row is the bias.
    """
    into, out = linear.weight.shape
    matrix = np.empty((out, into + 1), np.float32).T  # as it is stored; turned once, by `cut`
    np.multiply(linear.weight, norm.weight[:, None], out=matrix[:-1])
    matrix[-1] = linear.bias + np.einsum("io,i->o", linear.weight, norm.bias)
    return matrix


def fold_scale(linear: Linear, gamma: Array) -> Linear:
    """Take a LayerScale's gamma into the map before it, whose output has its mean taken away."""
    return centre_output(Linear(linear.weight * gamma, linear.bias * gamma))


def centre(tokens: Array) -> Array:
    """Take away the mean of each token, (..., D)."""
    centred: Array = tokens - tokens.mean(axis=-1, keepdims=True)
    return centred


def centre_output(linear: Linear) -> Linear:
    """Take away the mean of what a map puts out."""
    mean = linear.weight.mean(axis=1, keepdims=True)
    return Linear(linear.weight - mean, linear.bias - linear.bias.mean())


def fold_attention(qkv: Linear, projection: Linear, norm: Norm, gamma: Array, heads: int) -> Attention:
    """Make an attention layer that has no scaling and no bias but the queries' and the projection's.

    Parameters
    ----------
    qkv : Linear
        Queries, keys and values beside each other, (D, 3 D).
    projection : Linear
    norm : Norm
        Before `qkv`.
    gamma : ndarray of float32, shape (D,)
        LayerScale's.
    heads : int
    """
    D = len(qkv.weight)
    matrix = fold_norm(qkv, norm)
    scale = np.float32((D // heads) ** -0.5)
    matrix[:, :D] *= scale
    passed_on = np.einsum("i,io->o", matrix[-1, 2 * D :], projection.weight)
    matrix[-1, D:] = 0
    parts = aligned(heads, 3, D + 1, D // heads)
    np.copyto(parts, matrix.reshape(D + 1, 3, heads, -1).transpose(2, 1, 0, 3))
    out = fold_scale(Linear(projection.weight, projection.bias + passed_on), gamma)
    return Attention(parts, cut(out.weight), out.bias)


def split(linear: Linear, parts: int) -> list[Linear]:
    """Part what a map puts out into several of equal width, without copying."""
    return list(map(Linear, np.split(linear.weight, parts, axis=1), np.split(linear.bias, parts)))
