"""Folding: what can be multiplied into the matrices once is not computed for every picture.

Nothing here changes what the network computes, only where. With LayerNorm's ``y = (x - mean) / deviation * g
+ c``:

- The norm's weight g and bias c move into the map that follows: ``y W^T + b`` is
  ``((x - mean) / deviation) (W diag(g))^T + (W c + b)``.
- LayerScale's gamma moves into the map before it: ``(y W^T + b) * gamma`` is ``y (diag(gamma) W)^T + b *
  gamma``.
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

from model.functional import Array
from model.layers import Attention, Layer, Linear, Mlp, SwiGlu
from model.weights import Weights


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
    patch_embed : Linear
        Columns in the order (channel, row, column) of a patch's pixels.
    prefix : ndarray of float32, shape (1 + R, D)
        The CLS token, its position added, and the registers, which have none.
    positions : ndarray of float32, shape (G, G, D)
        The patches' table.
    blocks : tuple of Block
    norm_weight, norm_bias : ndarray of float32, shape (D,)
        Of the final LayerNorm.
    """

    patch_embed: Linear
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
    patch_embed = _read_linear(weights, "patch_embed.proj")
    return Parameters(
        patch_embed=centre_output(Linear(patch_embed.weight.reshape(config.width, -1), patch_embed.bias)),
        prefix=prefix,
        positions=table[1:].reshape(config.grid, config.grid, config.width),
        blocks=tuple(_read_block(weights, f"blocks.{index}") for index in range(config.depth)),
        norm_weight=weights.read("norm.weight"),
        norm_bias=weights.read("norm.bias"),
    )


def _read_block(weights: Weights, block: str) -> Block:
    def linear(name: str) -> Linear:
        return _read_linear(weights, f"{block}.{name}")

    def after_norm(name: str, norm: str) -> Linear:
        weight, bias = weights.read(f"{block}.{norm}.weight"), weights.read(f"{block}.{norm}.bias")
        return fold_norm(linear(name), weight, bias)

    scale1, scale2 = weights.read(f"{block}.ls1.gamma"), weights.read(f"{block}.ls2.gamma")
    attention = fold_attention(
        after_norm("attn.qkv", "norm1"), linear("attn.proj"), scale1, weights.config.heads
    )
    if weights.config.mlp == "gelu":
        return Block(attention, Mlp(after_norm("mlp.fc1", "norm2"), fold_scale(linear("mlp.fc2"), scale2)))
    gate, up = split_rows(after_norm("mlp.w12", "norm2"), 2)
    return Block(attention, SwiGlu(gate, up, fold_scale(linear("mlp.w3"), scale2)))


def _read_linear(weights: Weights, name: str) -> Linear:
    return Linear(weights.read(f"{name}.weight"), weights.read(f"{name}.bias"))


def fold_norm(linear: Linear, weight: Array, bias: Array) -> Linear:
    """Take a LayerNorm's weight and bias into the map that follows it."""
    shift = np.einsum("oi,i->o", linear.weight, bias)
    return Linear(linear.weight * weight, linear.bias + shift)


def fold_scale(linear: Linear, gamma: Array) -> Linear:
    """Take a LayerScale's gamma into the map before it, whose output has its mean taken away."""
    return centre_output(Linear(linear.weight * gamma[:, None], linear.bias * gamma))


def centre(tokens: Array) -> Array:
    """Take away the mean of each token, (..., D)."""
    centred: Array = tokens - tokens.mean(axis=-1, keepdims=True)
    return centred


def centre_output(linear: Linear) -> Linear:
    """Take away the mean of what a map puts out."""
    return Linear(linear.weight - linear.weight.mean(axis=0), linear.bias - linear.bias.mean())


def fold_attention(qkv: Linear, projection: Linear, gamma: Array, heads: int) -> Attention:
    """Make an attention layer that has no scaling and no bias but the queries' and the projection's.

    Parameters
    ----------
    qkv : Linear
        Queries, keys and values below each other, (3 D, D), the norm folded in; kept, and changed.
    projection : Linear
    gamma : ndarray of float32, shape (D,)
        LayerScale's.
    heads : int
    """
    query, key, value = split_rows(qkv, 3)
    scale = np.float32((len(query.bias) // heads) ** -0.5)
    np.multiply(
        query.weight, scale, out=query.weight
    )  # a copy would leave the original held by keys and values
    passed_on = np.einsum("oi,i->o", projection.weight, value.bias)
    return Attention(
        query=Linear(query.weight, query.bias * scale),
        key=key.weight,
        value=value.weight,
        projection=fold_scale(Linear(projection.weight, projection.bias + passed_on), gamma),
        units=heads,
    )


def split_rows(linear: Linear, parts: int) -> list[Linear]:
    """Part a map into several of equal height, without copying."""
    return list(map(Linear, np.split(linear.weight, parts), np.split(linear.bias, parts)))
