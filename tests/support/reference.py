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


def of_block(parameters: Parameters, index: int) -> Parameters:
    """Return the parameters of one block, by their names inside the block."""
    prefix = f"blocks.{index}."
    return {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}


def block(config: ViTConfig, parameters: Parameters, x: Array) -> Array:
    """One transformer block: attention and MLP, each after a LayerNorm and added to the tokens, (N, D)."""
    attended = attention(config, parameters, layer_norm(config, parameters, "norm1", x))
    x = x + parameters["ls1.gamma"] * attended
    processed = mlp(config, parameters, layer_norm(config, parameters, "norm2", x))
    return x + parameters["ls2.gamma"] * processed


def attention(config: ViTConfig, parameters: Parameters, x: Array) -> Array:
    """Multi-head self-attention [5]_: each token becomes a weighted mean of all tokens' values."""
    query, key, value = np.split(linear(parameters, "attn.qkv", x), 3, axis=-1)  # each (N, D)
    outputs = []
    for head in range(config.heads):
        columns = np.s_[:, head * config.head_width : (head + 1) * config.head_width]
        scores = query[columns] @ key[columns].T / np.sqrt(config.head_width)  # (N, N)
        weights = softmax(scores)
        outputs.append(weights @ value[columns])  # (N, d)
    return linear(parameters, "attn.proj", np.concatenate(outputs, axis=-1))


def mlp(config: ViTConfig, parameters: Parameters, x: Array) -> Array:
    """Two linear maps with GELU between them, or in DINOv2 giant SwiGLU [7]_."""
    if config.mlp == "gelu":
        return linear(parameters, "mlp.fc2", gelu(linear(parameters, "mlp.fc1", x)))
    gate, up = np.split(linear(parameters, "mlp.w12", x), 2, axis=-1)
    return linear(parameters, "mlp.w3", gate * expit(gate) * up)


def linear(parameters: Parameters, name: str, x: Array) -> Array:
    """A linear map with bias; weights are stored as (out, in)."""
    y: Array = x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]
    return y


def layer_norm(config: ViTConfig, parameters: Parameters, name: str, x: Array) -> Array:
    """LayerNorm [8]_: each token is shifted and scaled to mean 0 and variance 1, then by learned vectors."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    normalised = (x - mean) / np.sqrt(variance + config.eps)
    y: Array = normalised * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]
    return y


def gelu(x: Array) -> Array:
    """GELU [6]_: x times the probability that a standard normal variable is below x."""
    y: Array = 0.5 * x * (1 + erf(x / np.sqrt(2)))
    return y


def softmax(scores: Array) -> Array:
    """Softmax over the last axis; subtracting the maximum avoids overflow and cancels out."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return weights


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


def weighted_sum(table: Array, rows: dict[int, float], columns: dict[int, float]) -> Array:
    """Sum entries of a table, each times the weights of its row and its column, (D,)."""
    total: Array = np.sum([a * b * table[r, c] for r, a in rows.items() for c, b in columns.items()], axis=0)
    return total


def plain_taps(source: int, target: int, offset: float, index: int) -> dict[int, float]:
    """Weights of the four samples around the sampling point; those beyond the border fall on it."""
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
