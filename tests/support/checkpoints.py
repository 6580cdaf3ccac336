"""Small random checkpoints of every kind, layout and format, always with the same numbers.

Every part of the network influences the result: LayerScale is 0.1 to 1, norm weights are 0.5 to 1.5, no bias
is zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model.checkpoints.layouts import HUB, OFFICIAL, Layout
from model.checkpoints.weights import Weights
from model.config import PositionMode, ViTConfig
from model.network.fold import fold
from model.network.vit import VisionTransformer
from tests.support.pth import write_pth

Tensors = dict[str, NDArray[Any]]

PATCH = 14
KINDS = {
    "plain": ViTConfig(width=64, depth=2, heads=1, hidden=256, mlp="gelu", patch=PATCH, grid=5),
    "registers": ViTConfig(
        width=64, depth=2, heads=1, hidden=256, mlp="gelu", patch=PATCH, grid=5, registers=4
    ),
    "swiglu": ViTConfig(width=128, depth=2, heads=2, hidden=344, mlp="swiglu", patch=PATCH, grid=5),
    "swiglu-registers": ViTConfig(
        width=128, depth=2, heads=2, hidden=344, mlp="swiglu", patch=PATCH, grid=5, registers=4
    ),
    "many-heads": ViTConfig(width=96, depth=3, heads=6, hidden=384, mlp="gelu", patch=PATCH, grid=4),
}
"""A tiny configuration of every kind."""

BASE = ViTConfig(width=768, depth=12, heads=12, hidden=3072, mlp="gelu", patch=PATCH, grid=37)
"""The configuration of DINOv2 ViT-B/14."""


def random_tensors(config: ViTConfig, seed: int = 0) -> Tensors:
    """Return random parameters by their official names, float32, with the mask token that real files have."""
    rng = np.random.default_rng(seed)
    tensors = {name: _random(rng, name, shape) for name, shape in config.shapes().items()}
    tensors["mask_token"] = _random(rng, "mask_token", (1, config.width))
    return tensors


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name.endswith("gamma"):
        return rng.uniform(0.1, 1.0, shape).astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    numbers = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith("bias"):
        return numbers * np.float32(0.1)
    if name.endswith("weight"):  # keeps the scale from layer to layer
        return numbers * np.float32(np.prod(shape[1:]) ** -0.5)
    return numbers * np.float32(0.5)


def in_layout(tensors: Tensors, layout: Layout) -> Tensors:
    """Rename official tensors as in `layout`, and split those that the layout stores in parts."""
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        sources = layout.sources(name)
        shape = (1, *tensor.shape[1:]) if name == "mask_token" else tensor.shape
        parts = np.split(tensor, len(sources)) if len(sources) > 1 else [tensor.reshape(shape)]
        renamed |= {source: np.ascontiguousarray(part) for source, part in zip(sources, parts, strict=True)}
    return renamed


def write_tensors(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    """Write a file in the format of its suffix; only ``.safetensors`` can hold metadata."""
    if path.suffix == ".safetensors":
        save_file(tensors, path, metadata)
    elif path.suffix == ".npz":
        np.savez(path, **tensors)
    else:
        write_pth(path, tensors)
    return path


def write_checkpoint(
    path: Path, config: ViTConfig, *, seed: int = 0, layout: Layout = HUB, half: bool = False
) -> Path:
    """Write a random checkpoint of this configuration.

    The metadata of ``.safetensors`` has the number of heads; in the other formats it must be width / 64.
    """
    tensors = in_layout(random_tensors(config, seed), layout)
    if half:
        tensors = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    return write_tensors(path, tensors, {"num_attention_heads": str(config.heads)})


def write_tiny_checkpoint(path: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint that encodes a picture in milliseconds: width 64, depth 2, for 70 x 70 pixels.

    `changes` are other values for fields of `ViTConfig`.
    """
    fields: dict[str, Any] = {
        "width": 64,
        "depth": 2,
        "heads": 1,
        "hidden": 256,
        "mlp": "gelu",
        "patch": PATCH,
        "grid": 5,
    }
    return write_checkpoint(path, ViTConfig(**(fields | changes)), seed=seed)


class MemoryCheckpoint:
    """A `model.checkpoints.files.Checkpoint` in memory."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.shapes = {name: tensor.shape for name, tensor in tensors.items()}
        self.dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
        self.metadata: dict[str, str] = {}

    def read(self, name: str) -> NDArray[Any]:
        return self.tensors[name]

    def close(self) -> None:
        self.tensors = {}


def memory_weights(config: ViTConfig, tensors: Tensors) -> Weights:
    """Return what `open_weights` would yield for a file with these official tensors."""
    return Weights(config, OFFICIAL, {}, Path("memory"), MemoryCheckpoint(tensors))


def build_vit(
    config: ViTConfig, tensors: Tensors, positions: PositionMode = "official", threads: int | None = None
) -> VisionTransformer:
    """Build the network from official tensors, without a file."""
    return VisionTransformer(config, fold(memory_weights(config, tensors)), positions, threads)


def random_pixels(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    """Return random numbers of the scale of normalised pictures."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
