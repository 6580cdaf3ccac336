"""Folding: what can be multiplied into the matrices once is not computed for every picture.

Nothing here changes what the network computes, only where. For a token x with deviation s from its mean:

- LayerNorm's weight g and bias c move into the matrix W that follows: ``((x - mean) / s * g + c) W + b`` is
  ``((x - mean) / s) (diag(g) W) + (c W + b)``.
- LayerScale's gamma moves into the matrix before it: ``(y W + b) * gamma`` is ``y (W diag(gamma)) + b *
  gamma``.
- Attention's ``1 / sqrt(d)`` moves into the queries' matrix and bias.
- The keys' bias adds the same number to all scores of a query, and softmax does not see that: it goes.
- Softmax's weights sum to 1, so the values' bias passes through attention unchanged: it moves into the bias
  of the projection that follows.

Sums are made with einsum, which calls no BLAS: worker processes fork after loading, and BLAS threads do not
survive it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.config import ViTConfig
from model.weights import Weights

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    """An affine map ``y = x W + b``.

    Attributes
    ----------
    weight : ndarray of float32, shape (into, out)
    bias : ndarray of float32, shape (out,)
    """

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class BlockParameters:
    """One block, folded.

    Attributes
    ----------
    qkv : Linear
        Queries, keys and values side by side; the bias is that of the queries alone, (D,).
    proj, mlp_in, mlp_out : Linear
    """

    qkv: Linear
    proj: Linear
    mlp_in: Linear
    mlp_out: Linear


@dataclass(frozen=True, slots=True)
class Parameters:
    """A whole ViT, folded.

    Attributes
    ----------
    patch_embed : Linear
        Rows in the order (channel, row, column) of a patch's pixels.
    cls_token, registers : ndarray of float32, shapes (1, D) and (R, D)
        With their positions added; registers have none.
    positions : ndarray of float32, shape (G, G, D)
    blocks : tuple of BlockParameters
    norm_weight, norm_bias : ndarray of float32, shape (D,)
    """

    patch_embed: Linear
    cls_token: Array
    registers: Array
    positions: Array
    blocks: tuple[BlockParameters, ...]
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
    table = weights.read("pos_embed")[0]
    kernel = weights.read("patch_embed.proj.weight").reshape(config.width, -1)
    registers = (
        weights.read("register_tokens")[0] if config.registers else np.empty((0, config.width), np.float32)
    )
    return Parameters(
        patch_embed=Linear(np.ascontiguousarray(kernel.T), weights.read("patch_embed.proj.bias")),
        cls_token=weights.read("cls_token")[0] + table[:1],
        registers=registers,
        positions=table[1:].reshape(config.grid, config.grid, config.width),
        blocks=tuple(_fold_block(weights, config, f"blocks.{index}") for index in range(config.depth)),
        norm_weight=weights.read("norm.weight"),
        norm_bias=weights.read("norm.bias"),
    )


def _fold_block(weights: Weights, config: ViTConfig, block: str) -> BlockParameters:
    names = ("mlp.fc1", "mlp.fc2") if config.mlp == "gelu" else ("mlp.w12", "mlp.w3")
    linear = {name: _read_linear(weights, f"{block}.{name}") for name in ("attn.qkv", "attn.proj", *names)}
    norm1, norm2 = (
        (weights.read(f"{block}.{n}.weight"), weights.read(f"{block}.{n}.bias")) for n in ("norm1", "norm2")
    )
    scale1, scale2 = weights.read(f"{block}.ls1.gamma"), weights.read(f"{block}.ls2.gamma")
    qkv, value_bias = fold_attention_input(fold_norm(linear["attn.qkv"], *norm1), config.head_width)
    proj = linear["attn.proj"]
    proj = Linear(proj.weight, proj.bias + times(value_bias, proj.weight))
    return BlockParameters(
        qkv=qkv,
        proj=fold_scale(proj, scale1),
        mlp_in=fold_norm(linear[names[0]], *norm2),
        mlp_out=fold_scale(linear[names[1]], scale2),
    )


def fold_norm(linear: Linear, weight: Array, bias: Array) -> Linear:
    """Take a LayerNorm's weight and bias into the map that follows it."""
    return Linear(linear.weight * weight[:, None], linear.bias + times(bias, linear.weight))


def fold_scale(linear: Linear, gamma: Array) -> Linear:
    """Take a LayerScale's gamma into the map before it."""
    return Linear(linear.weight * gamma, linear.bias * gamma)


def fold_attention_input(qkv: Linear, head_width: int) -> tuple[Linear, Array]:
    """Take ``1 / sqrt(d)`` into the queries and keep only their bias.

    Returns
    -------
    qkv : Linear
        With the queries' bias alone.
    value_bias : ndarray of float32, shape (D,)
        To be passed on through the projection.
    """
    D = qkv.weight.shape[0]
    scale = np.float32(head_width**-0.5)
    weight = qkv.weight.copy()
    weight[:, :D] *= scale
    return Linear(weight, qkv.bias[:D] * scale), qkv.bias[2 * D :]


def times(vector: Array, matrix: Array) -> Array:
    """Vector times matrix, summed in float64 and without BLAS."""
    return np.einsum("i,io->o", vector, matrix, dtype=np.float64, casting="same_kind", optimize=False).astype(
        np.float32
    )


def _read_linear(weights: Weights, name: str) -> Linear:
    return Linear(np.ascontiguousarray(weights.read(f"{name}.weight").T), weights.read(f"{name}.bias"))
