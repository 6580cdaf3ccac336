"""DINOv2's ViT in PyTorch, to be trained; `model.network.vit` is the one that runs.

Modules are named so that the state dict has the official names of DINOv2's checkpoints [1]_.

References
----------
.. [1] Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", arXiv:2304.07193.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.checkpoints.weights import open_weights
from model.config import CHANNELS, ViTConfig
from model.errors import CheckpointError

_STD = 0.02
LAYER_SCALE = 0.1


class Attention(nn.Module):
    """Multi-head self-attention, (B, N, D) -> (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, N, D = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        # Written out: on a CPU and with so few tokens, the fused kernel's gradient takes a quarter of a step.
        scores = (q * (D // self.heads) ** -0.5) @ k.transpose(-2, -1)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype)
        return self.proj((weights @ v).transpose(1, 2).reshape(B, N, D))


class Mlp(nn.Module):
    """Two layers with the exact GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learnt factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Attention and MLP, each behind a LayerNorm and before a LayerScale."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, config.eps)
        self.attn = Attention(config.width, config.heads)
        self.ls1 = LayerScale(config.width)
        self.norm2 = nn.LayerNorm(config.width, config.eps)
        self.mlp = Mlp(config.width, config.hidden)
        self.ls2 = LayerScale(config.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbedding(nn.Module):
    """One linear map for every patch; a convolution's weights, as checkpoints have them."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(CHANNELS, config.width, config.patch, config.patch)

    def forward(self, pixels: Tensor) -> Tensor:
        B, C, H, W = pixels.shape
        p = self.proj.kernel_size[0]
        patches = pixels.view(B, C, H // p, p, W // p, p).permute(0, 2, 4, 1, 3, 5)
        return functional.linear(
            patches.reshape(B, -1, C * p * p), self.proj.weight.flatten(1), self.proj.bias
        )


class Network(nn.Module):
    """A ViT whose parameters can be learnt.

    Parameters
    ----------
    config : ViTConfig
        With the GELU MLP and no registers: others are not trained here.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        if config.mlp != "gelu" or config.registers:
            raise ValueError("only a ViT with the GELU MLP and without registers can be trained")
        self.config, self.frozen = config, 0
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + config.grid**2, config.width))
        self.patch_embed = PatchEmbedding(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, config.eps)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.trunc_normal_(parameter, std=_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pictures of one size.

        Parameters
        ----------
        pixels : Tensor, shape (B, 3, H, W)
            Normalised; H and W are multiples of the patch's side.

        Returns
        -------
        Tensor, shape (B, 1 + N, D)
            CLS and patches after the final LayerNorm.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.through(self.embed(pixels), 0, self.frozen)
        return self.norm(self.through(x, self.frozen))

    def freeze(self, blocks: int) -> None:
        """Keep the weights of the first blocks, and with them those of the embeddings."""
        self.frozen = blocks
        for name, parameter in self.named_parameters():
            part, _, rest = name.partition(".")
            later = part == "norm" or (part == "blocks" and int(rest.partition(".")[0]) >= blocks)
            parameter.requires_grad_(later or not blocks)

    def embed(self, pixels: Tensor) -> Tensor:
        """Make tokens of pictures, as `forward` does before the first block."""
        p = self.config.patch
        x = self.patch_embed(pixels) + self._positions(pixels.shape[2] // p, pixels.shape[3] // p)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        return torch.cat([cls, x], dim=1)

    def through(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Take tokens through some of the blocks."""
        for block in self.blocks[start:stop]:
            x = block(x)
        return x

    def _positions(self, h: int, w: int) -> Tensor:
        """Interpolate the table as transformers does; see `model.network.positions`."""
        grid, patches = self.config.grid, self.pos_embed[:, 1:]
        if (h, w) == (grid, grid):
            return patches
        return resized_positions(patches, h, w)


def resized_positions(patches: Tensor, h: int, w: int) -> Tensor:
    """Interpolate the positions of a square grid of patches, (1, N, D), to (1, h * w, D)."""
    grid = math.isqrt(patches.shape[1])
    table = patches.view(1, grid, grid, -1).permute(0, 3, 1, 2)
    table = functional.interpolate(table, size=(h, w), mode="bicubic", align_corners=False)
    return table.flatten(2).transpose(1, 2)


def begin_with(network: Network, path: Path) -> None:
    """Load a checkpoint of the network's shape, in any format and layout; a larger position table is reduced.

    Raises
    ------
    CheckpointError
        It is of another shape.
    """
    with open_weights(path) as weights:
        if replace(weights.config, grid=network.config.grid) != network.config:
            raise CheckpointError(f"{path} is {weights.config}, and {network.config} is to be trained.")
        state = {name: torch.from_numpy(weights.read(name).astype("f4")) for name in weights.config.shapes()}
    table, grid = state["pos_embed"], network.config.grid
    if table.shape != network.pos_embed.shape:
        state["pos_embed"] = torch.cat([table[:, :1], resized_positions(table[:, 1:], grid, grid)], dim=1)
    network.load_state_dict(state)
