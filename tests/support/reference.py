"""DINOv2 as the papers write it down: float64, nothing folded, shared or reused.

Parameters are the official tensors. Slow and plain on purpose: the fast network is held against this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from model.config import ViTConfig

Array = NDArray[np.float64]


def forward(
    config: ViTConfig, tensors: Mapping[str, NDArray[Any]], pixels: NDArray[Any], positions: str
) -> Array:
    """All tokens after the final norm, (B, 1 + R + h w, D), for pixels (B, 3, H, W)."""
    p = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    return np.stack([_forward(config, p, image.astype(np.float64), positions) for image in pixels])


def _forward(config: ViTConfig, p: Mapping[str, Array], image: Array, positions: str) -> Array:
    h, w = image.shape[1] // config.patch, image.shape[2] // config.patch
    x = np.concatenate([p["cls_token"][0], patch_embed(config, p, image)])  # (1 + h w, D)
    x = x + np.concatenate([p["pos_embed"][0, :1], position_table(config, p, h, w, positions)])
    if config.registers:
        x = np.concatenate([x[:1], p["register_tokens"][0], x[1:]])
    for index in range(config.depth):
        block = {name.removeprefix(f"blocks.{index}."): value for name, value in p.items()}
        x = x + block["ls1.gamma"] * attention(config, block, norm(config, block, "norm1", x))
        x = x + block["ls2.gamma"] * mlp(config, block, norm(config, block, "norm2", x))
    return norm(config, p, "norm", x)


def patch_embed(config: ViTConfig, p: Mapping[str, Array], image: Array) -> Array:
    """The convolution of stride and size `patch`: one product per patch."""
    kernel, side = p["patch_embed.proj.weight"], config.patch
    rows = [
        np.tensordot(kernel, image[:, top : top + side, left : left + side], axes=3)
        + p["patch_embed.proj.bias"]
        for top in range(0, image.shape[1], side)
        for left in range(0, image.shape[2], side)
    ]
    return np.stack(rows)


def norm(config: ViTConfig, p: Mapping[str, Array], name: str, x: Array) -> Array:
    """LayerNorm."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + config.eps) * p[f"{name}.weight"] + p[f"{name}.bias"]


def attention(config: ViTConfig, p: Mapping[str, Array], x: Array) -> Array:
    """Multi-head self-attention."""
    q, k, v = np.split(linear(p, "attn.qkv", x), 3, axis=-1)
    heads = []
    for head in range(config.heads):
        mine = np.s_[:, head * config.head_width : (head + 1) * config.head_width]
        heads.append(softmax(q[mine] @ k[mine].T / np.sqrt(config.head_width)) @ v[mine])
    return linear(p, "attn.proj", np.concatenate(heads, axis=-1))


def mlp(config: ViTConfig, p: Mapping[str, Array], x: Array) -> Array:
    """The MLP, with GELU or gated."""
    if config.mlp == "gelu":
        return linear(p, "mlp.fc2", gelu(linear(p, "mlp.fc1", x)))
    gate, up = np.split(linear(p, "mlp.w12", x), 2, axis=-1)
    return linear(p, "mlp.w3", gate * expit(gate) * up)


def linear(p: Mapping[str, Array], name: str, x: Array) -> Array:
    """An affine map."""
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def gelu(x: Array) -> Array:
    """GELU by erf."""
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def softmax(scores: Array) -> Array:
    """Softmax over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def position_table(config: ViTConfig, p: Mapping[str, Array], h: int, w: int, positions: str) -> Array:
    """The patches' positions, (h w, D)."""
    grid = config.grid
    table = p["pos_embed"][0, 1:].reshape(grid, grid, -1)
    if (h, w) != (grid, grid):
        table = bicubic(
            table, h, w, offset=0.1 if positions == "official" else 0.0, antialias=config.registers > 0
        )
    return table.reshape(h * w, -1)


def bicubic(table: Array, h: int, w: int, *, offset: float, antialias: bool) -> Array:
    """Bicubic interpolation of (G, G, D) to (h, w, D), pixel by pixel; `offset` is for the plain one."""
    weigh = antialiased_weights if antialias else plain_weights
    down = [weigh(len(table), h, offset, i) for i in range(h)]
    across = [weigh(len(table), w, offset, j) for j in range(w)]
    return np.stack(
        [
            np.stack(
                [
                    sum(a * b * table[r, c] for r, a in rows.items() for c, b in columns.items())
                    for columns in across
                ]
            )
            for rows in down
        ]
    )


def plain_weights(source: int, target: int, offset: float, index: int) -> dict[int, float]:
    """Four taps around the sampling point; those beyond the border fall on it."""
    centre = (index + 0.5) * source / (target + offset) - 0.5
    weights: dict[int, float] = {}
    for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
        inside = min(max(tap, 0), source - 1)
        weights[inside] = weights.get(inside, 0.0) + cubic(centre - tap, -0.75)
    return weights


def antialiased_weights(source: int, target: int, offset: float, index: int) -> dict[int, float]:
    """All taps within the widened kernel, normalised; none beyond the border."""
    scale = max(source / target, 1.0)
    centre = (index + 0.5) * source / target - 0.5
    weights = {
        tap: cubic((centre - tap) / scale, -0.5) for tap in range(source) if abs(centre - tap) < 2 * scale
    }
    return {tap: weight / sum(weights.values()) for tap, weight in weights.items()}


def cubic(x: float, a: float) -> float:
    """Keys' cubic convolution."""
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0
