"""The shape of a Vision Transformer, and the modes of an encoder.

Every package above may import this; it imports `model.errors` only, and no NumPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from model.errors import CheckpointError

PreprocessMode = Literal["official", "center_crop", "resize_short_side"]
PREPROCESS_MODES: tuple[PreprocessMode, ...] = get_args(PreprocessMode)

PositionMode = Literal["official", "transformers"]
POSITION_MODES: tuple[PositionMode, ...] = get_args(PositionMode)

StorageType = Literal["float32", "float16", "int8"]
STORAGE_TYPES: tuple[StorageType, ...] = get_args(StorageType)

HIGHEST_MAX_PIXELS = 120_000_000
"""Pixels that may be decoded at most: they take 1.5 GB, all the memory that one search may use."""

HEAD_WIDTH = 64  # in every DINOv2; the tensors do not show the number of heads
CHANNELS = 3
LAYER_NORM_EPS = 1e-6

# Far beyond any ViT in use. They keep a crafted header from requesting all memory.
MAX_WIDTH, MAX_DEPTH, MAX_HIDDEN, MAX_GRID, MAX_PATCH, MAX_REGISTERS = 8192, 128, 65536, 256, 64, 64


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """Hyperparameters of a ViT.

    In papers and other libraries, `width` is also called ``embed_dim`` or ``hidden_size``, `heads` is
    ``num_heads``, `patch` is ``patch_size``, and `hidden` is ``intermediate_size``.

    Attributes
    ----------
    width : int
        Length D of a token, and of a feature.
    depth : int
        Number of blocks.
    heads : int
        Attention heads in each block.
    hidden : int
        Width of the MLP's hidden layer; with SwiGLU, of each of its two halves.
    mlp : {"gelu", "swiglu"}
        Kind of MLP; in the DINOv2 family, only giant has SwiGLU.
    patch : int
        Side of a patch in pixels.
    grid : int
        Side of the stored position table in patches.
    registers : int
        Number of register tokens [2]_; 0 in the first DINOv2 [1]_.
    eps : float
        Added to the variance in every LayerNorm.

    Raises
    ------
    CheckpointError
        A value is out of bounds, or `width` is not a multiple of `heads`.

    References
    ----------
    .. [1] Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", arXiv:2304.07193.
    .. [2] Darcet et al., "Vision Transformers Need Registers", arXiv:2309.16588.
    """

    width: int
    depth: int
    heads: int
    hidden: int
    mlp: Literal["gelu", "swiglu"]
    patch: int
    grid: int
    registers: int = 0
    eps: float = LAYER_NORM_EPS

    def __post_init__(self) -> None:
        limits = {
            "width": (1, MAX_WIDTH),
            "depth": (1, MAX_DEPTH),
            "hidden": (1, MAX_HIDDEN),
            "patch": (1, MAX_PATCH),
            "grid": (1, MAX_GRID),
            "registers": (0, MAX_REGISTERS),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise CheckpointError(
                    f"{name} is {getattr(self, name)}; it must lie between {low} and {high}."
                )
        if self.heads < 1 or self.width % self.heads:
            raise CheckpointError(f"width {self.width} cannot be divided into {self.heads} attention heads.")
        if not 0 < self.eps < 1:
            raise CheckpointError(f"LayerNorm's epsilon is {self.eps}; it must lie between 0 and 1.")

    @property
    def head_width(self) -> int:
        """Length d of the query, key and value of one head."""
        return self.width // self.heads

    @property
    def prefix(self) -> int:
        """Number of tokens before those of the patches: CLS and the registers."""
        return 1 + self.registers

    @property
    def image_size(self) -> int:
        """Side in pixels of the pictures that the position table belongs to."""
        return self.grid * self.patch

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by its official name.

        The mask token is left out: every checkpoint has it, but only training uses it.
        """
        D = self.width
        shapes: dict[str, tuple[int, ...]] = {
            "cls_token": (1, 1, D),
            "pos_embed": (1, 1 + self.grid**2, D),
            "patch_embed.proj.weight": (D, CHANNELS, self.patch, self.patch),
            "patch_embed.proj.bias": (D,),
            "norm.weight": (D,),
            "norm.bias": (D,),
        }
        if self.registers:
            shapes["register_tokens"] = (1, self.registers, D)
        for index in range(self.depth):
            shapes |= {f"blocks.{index}.{name}": shape for name, shape in self._block_shapes().items()}
        return shapes

    def _block_shapes(self) -> dict[str, tuple[int, ...]]:
        D, F = self.width, self.hidden
        linear = {"attn.qkv": (3 * D, D), "attn.proj": (D, D)}
        linear |= (
            {"mlp.fc1": (F, D), "mlp.fc2": (D, F)}
            if self.mlp == "gelu"
            else {"mlp.w12": (2 * F, D), "mlp.w3": (D, F)}
        )
        shapes: dict[str, tuple[int, ...]] = {"ls1.gamma": (D,), "ls2.gamma": (D,)}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{norm}.weight": (D,), f"{norm}.bias": (D,)}
        for name, (out, into) in linear.items():
            shapes |= {f"{name}.weight": (out, into), f"{name}.bias": (out,)}
        return shapes

    @property
    def parameters(self) -> int:
        """Number of learned parameters, without the mask token."""
        return sum(math.prod(shape) for shape in self.shapes().values())
