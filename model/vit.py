"""The Vision Transformer."""

from __future__ import annotations

import numpy as np

from model.config import CHANNELS, ViTConfig
from model.fold import Array, BlockParameters, Parameters
from model.functional import gelu, softmax, standardise, swiglu
from model.positions import PositionMode, interpolate_positions


class VisionTransformer:
    def __init__(
        self, config: ViTConfig, parameters: Parameters, positions: PositionMode = "official"
    ) -> None:
        self.config = config
        self.parameters = parameters
        self.positions = positions

    def forward(self, pixels: Array) -> Array:
        x = self.embed(pixels)
        for block in self.parameters.blocks:
            x = x + self.attention(standardise(x, self.config.eps), block)
            x = x + self.mlp(standardise(x, self.config.eps), block)
        return standardise(x, self.config.eps) * self.parameters.norm_weight + self.parameters.norm_bias

    def embed(self, pixels: Array) -> Array:
        B, _, H, W = pixels.shape
        p, D = self.config.patch, self.config.width
        h, w = H // p, W // p
        patches = pixels.reshape(B, CHANNELS, h, p, w, p).transpose(0, 2, 4, 1, 3, 5).reshape(B, h * w, -1)
        linear = self.parameters.patch_embed
        table = interpolate_positions(
            self.parameters.positions, h, w, mode=self.positions, registers=self.config.registers > 0
        )
        x = patches @ linear.weight + linear.bias + table.reshape(h * w, D)
        prefix = np.concatenate([self.parameters.cls_token, self.parameters.registers])
        return np.concatenate([np.broadcast_to(prefix, (B, *prefix.shape)), x], axis=1)

    def attention(self, x: Array, block: BlockParameters) -> Array:
        B, N, D = x.shape
        heads, d = self.config.heads, self.config.head_width
        qkv = (x @ block.qkv.weight).reshape(B, N, 3, heads, d).transpose(2, 0, 3, 1, 4)
        q, k, v = qkv
        q = q + block.qkv.bias.reshape(heads, 1, d)
        out = softmax(q @ k.swapaxes(-1, -2)) @ v  # (B, heads, N, d)
        return out.swapaxes(1, 2).reshape(B, N, D) @ block.proj.weight + block.proj.bias

    def mlp(self, x: Array, block: BlockParameters) -> Array:
        hidden = x @ block.mlp_in.weight + block.mlp_in.bias
        hidden = gelu(hidden) if self.config.mlp == "gelu" else swiglu(hidden)
        return hidden @ block.mlp_out.weight + block.mlp_out.bias
