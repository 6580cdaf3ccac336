"""DINOv2 as in the papers: the best place to start reading about the network.

This module computes what `model.network.vit` computes, one picture at a time, in float64, without any
optimisation. The tests compare the fast network with this one. With the papers at hand, read it from
top to bottom:

1. A picture is cut into patches of ``p x p`` pixels, and each is projected to a token, a vector of width D
   (`patch_embed`; [1]_, equation 1).
2. The CLS token is put first, and position embeddings are added, so that the network knows where a patch
   is. They were learned for one size of picture, and are interpolated for others (`position_embeddings`).
3. Some models have register tokens, which have no position and are dropped at the end [3]_.
4. Each of ``depth`` blocks adds to the tokens the output of attention, where tokens look at each other, and
   then that of an MLP, where each is processed alone ([1]_, equations 2 and 3). DINOv2 multiplies both
   outputs by a learned vector before they are added, LayerScale's gamma [4]_.
5. After a last LayerNorm ([1]_, equation 4), the CLS token is the feature of the picture [2]_.

Parameters are the tensors of a checkpoint by their official names, such as ``blocks.0.attn.qkv.weight``.
Shapes are written in letters: h x w patches, R registers, N = 1 + R + h w tokens, width D, heads of width d.

References
----------
.. [1] Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
   arXiv:2010.11929, section 3.1.
.. [2] Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", arXiv:2304.07193.
.. [3] Darcet et al., "Vision Transformers Need Registers", arXiv:2309.16588.
.. [4] Touvron et al., "Going deeper with Image Transformers", arXiv:2103.17239, section 2.
.. [5] Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, section 3.2.
.. [6] Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415.
.. [7] Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202.
.. [8] Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450.
.. [9] R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
   Acoustics, Speech, and Signal Processing 29 (6), 1981.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from model.config import ViTConfig

Array = NDArray[np.float64]
Parameters = Mapping[str, Array]


def forward(
    config: ViTConfig, tensors: Mapping[str, NDArray[Any]], pixels: NDArray[Any], positions: str
) -> Array:
    """Encode pictures: pixels (B, 3, H, W) to tokens (B, N, D), in the order CLS, registers, patches."""
    parameters = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    return np.stack([encode(config, parameters, image.astype(np.float64), positions) for image in pixels])


def encode(config: ViTConfig, parameters: Parameters, image: Array, positions: str) -> Array:
    """Encode one picture, (3, H, W), as tokens, (N, D)."""
    h, w = image.shape[1] // config.patch, image.shape[2] // config.patch
    x = np.concatenate([parameters["cls_token"][0], patch_embed(config, parameters, image)])
    x = x + position_embeddings(config, parameters, h, w, positions)
    if config.registers:
        x = np.concatenate([x[:1], parameters["register_tokens"][0], x[1:]])
    for index in range(config.depth):
        x = block(config, of_block(parameters, index), x)
    return layer_norm(config, parameters, "norm", x)


def patch_embed(config: ViTConfig, parameters: Parameters, image: Array) -> Array:
    """Project each patch to a token, (h w, D): a convolution whose stride is the patch size."""
    kernel = parameters["patch_embed.proj.weight"]  # (D, 3, p, p)
    bias, p = parameters["patch_embed.proj.bias"], config.patch
    tokens = [
        np.tensordot(kernel, image[:, top : top + p, left : left + p], axes=3) + bias
        for top in range(0, image.shape[1], p)
        for left in range(0, image.shape[2], p)
    ]
    return np.stack(tokens)


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


def position_embeddings(config: ViTConfig, parameters: Parameters, h: int, w: int, positions: str) -> Array:
    """Position embeddings of CLS and h x w patches, (1 + h w, D).

    The stored table has ``grid x grid`` patches. For other sizes, dinov2 (``official``) and transformers
    interpolate slightly differently; models with registers use an antialiased interpolation in both.
    """
    stored, grid = parameters["pos_embed"][0], config.grid
    table = stored[1:].reshape(grid, grid, -1)
    if (h, w) != (grid, grid):
        offset = 0.1 if positions == "official" else 0.0
        table = bicubic(table, h, w, offset=offset, antialias=config.registers > 0)
    return np.concatenate([stored[:1], table.reshape(h * w, -1)])


def bicubic(table: Array, h: int, w: int, *, offset: float, antialias: bool) -> Array:
    """Resample a table (G, G, D) to (h, w, D) by bicubic interpolation, as PyTorch does."""
    taps = antialiased_taps if antialias else plain_taps
    rows = [taps(len(table), h, offset, index) for index in range(h)]
    columns = [taps(len(table), w, offset, index) for index in range(w)]
    return np.array([[weighted_sum(table, row, column) for column in columns] for row in rows])


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


def antialiased_taps(source: int, target: int, offset: float, index: int) -> dict[int, float]:
    """Weights of all samples under a kernel widened by the reduction, normalised; `offset` is unused."""
    scale = max(source / target, 1.0)
    centre = (index + 0.5) * source / target - 0.5
    weights = {
        tap: cubic((centre - tap) / scale, -0.5) for tap in range(source) if abs(centre - tap) < 2 * scale
    }
    return {tap: weight / sum(weights.values()) for tap, weight in weights.items()}


def cubic(x: float, a: float) -> float:
    """Keys' cubic convolution kernel [9]_, whose slope at 1 is `a`."""
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0
