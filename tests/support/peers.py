"""The network in PyTorch, as in transformers and as in dinov2, to compare ours with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from model.compare import transformers_model
from model.config import ViTConfig
from model.preprocess import MEAN, STD
from tests.support.checkpoints import Tensors, memory_weights

Array = NDArray[np.float32]

OFFSET = 0.1  # dinov2's interpolate_offset of the models without registers


def transformers_tokens(
    config: ViTConfig, tensors: Tensors, pixels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return all tokens computed by transformers."""
    with torch.inference_mode():
        return transformers_model(memory_weights(config, tensors))(
            torch.from_numpy(pixels)
        ).last_hidden_state.numpy()


def official_tokens(config: ViTConfig, tensors: Tensors, pixels: Array) -> Array:
    """Return all tokens computed with the operations of dinov2/models/vision_transformer.py."""
    p = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    with torch.inference_mode():
        return _official(config, p, torch.from_numpy(pixels)).numpy()


def _official(config: ViTConfig, p: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    x = functional.conv2d(
        pixels, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=config.patch
    )
    h, w = x.shape[2:]
    x = torch.cat([p["cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    x = x + torch.cat(
        [p["pos_embed"][:, :1], official_positions(p["pos_embed"][:, 1:], h, w, config.registers > 0)], dim=1
    )
    if config.registers:
        x = torch.cat([x[:, :1], p["register_tokens"].expand(len(x), -1, -1), x[:, 1:]], dim=1)
    for index in range(config.depth):
        block = {name.removeprefix(f"blocks.{index}."): value for name, value in p.items()}
        x = x + block["ls1.gamma"] * _attention(config, block, _norm(config, block, "norm1", x))
        x = x + block["ls2.gamma"] * _mlp(config, block, _norm(config, block, "norm2", x))
    return _norm(config, p, "norm", x)


def official_positions(table: Tensor, h: int, w: int, registers: bool) -> Tensor:
    """Interpolate positions like `interpolate_pos_encoding` of dinov2; return (1, h w, D)."""
    grid = math.isqrt(table.shape[1])
    if (h, w) == (grid, grid):
        return table
    table = table.reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    if registers:
        table = functional.interpolate(table, size=(h, w), mode="bicubic", antialias=True)
    else:
        scale = (float(h + OFFSET) / grid, float(w + OFFSET) / grid)
        table = functional.interpolate(table, scale_factor=scale, mode="bicubic", antialias=False)
    assert table.shape[2:] == (h, w)
    return table.permute(0, 2, 3, 1).flatten(1, 2)


def _attention(config: ViTConfig, p: Mapping[str, Tensor], x: Tensor) -> Tensor:
    query, key, value = (
        functional.linear(x, p["attn.qkv.weight"], p["attn.qkv.bias"])
        .unflatten(-1, (3, config.heads, -1))
        .permute(2, 0, 3, 1, 4)
    )
    x = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    return functional.linear(x, p["attn.proj.weight"], p["attn.proj.bias"])


def _mlp(config: ViTConfig, p: Mapping[str, Tensor], x: Tensor) -> Tensor:
    if config.mlp == "gelu":
        hidden = functional.gelu(functional.linear(x, p["mlp.fc1.weight"], p["mlp.fc1.bias"]))
        return functional.linear(hidden, p["mlp.fc2.weight"], p["mlp.fc2.bias"])
    gate, up = functional.linear(x, p["mlp.w12.weight"], p["mlp.w12.bias"]).chunk(2, dim=-1)
    return functional.linear(functional.silu(gate) * up, p["mlp.w3.weight"], p["mlp.w3.bias"])


def _norm(config: ViTConfig, p: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return functional.layer_norm(x, (config.width,), p[f"{name}.weight"], p[f"{name}.bias"], config.eps)


def image_processor(resize: int, crop: int, *, do_resize: bool = True) -> BitImageProcessorPil:
    """Return the image processor of transformers with the settings of DINOv2."""
    return BitImageProcessorPil(
        size={"shortest_edge": resize},
        crop_size={"height": crop, "width": crop},
        do_resize=do_resize,
        image_mean=list(MEAN),
        image_std=list(STD),
    )
