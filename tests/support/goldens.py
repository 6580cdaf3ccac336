"""Inputs of the golden arrays, shared by `tests.goldens.make` and the tests that read them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.checkpoints import Tensors

GOLDENS = Path(__file__).parents[1] / "goldens"

KIND_SHAPES = [(1, 3, 70, 70), (1, 3, 42, 84)]
"""Shapes of the pixels (B, 3, H, W) that every tiny kind encodes."""

BASE_SIZES = [(224, 224), (518, 518), (224, 336)]
"""Heights and widths that ViT-B/14 encodes."""


class Bicubic(NamedTuple):
    """An interpolation of the 37 x 37 table."""

    height: int
    width: int
    offset: float = 0.0
    antialias: bool = False


BICUBIC_CASES = {
    "transformers-16x16": Bicubic(16, 16),
    "transformers-16x24": Bicubic(16, 24),
    "transformers-60x37": Bicubic(60, 37),
    "official-16x16": Bicubic(16, 16, offset=0.1),
    "official-16x24": Bicubic(16, 24, offset=0.1),
    "official-37x50": Bicubic(37, 50, offset=0.1),
    "registers-16x16": Bicubic(16, 16, antialias=True),
    "registers-7x24": Bicubic(7, 24, antialias=True),
    "registers-60x37": Bicubic(60, 37, antialias=True),
}


class Processed(NamedTuple):
    """A picture and the settings of the image processor of transformers."""

    mode: str
    width: int
    height: int
    resize: int
    crop: int


PROCESSED = {
    "landscape": Processed("official", 151, 97, 64, 56),
    "portrait": Processed("official", 83, 211, 64, 56),
    "enlarged": Processed("official", 31, 40, 64, 56),
    "square": Processed("official", 90, 90, 112, 98),
    "odd-margins": Processed("official", 77, 50, 59, 42),
    "full-size": Processed("official", 301, 283, 256, 224),
    "crop": Processed("center_crop", 151, 97, 56, 56),
    "crop-padded": Processed("center_crop", 31, 90, 56, 56),
    "crop-padded-odd": Processed("center_crop", 45, 33, 56, 56),
}


def bicubic_table() -> NDArray[np.float32]:
    """Return a random table, (37, 37, 2)."""
    return np.random.default_rng(3).standard_normal((37, 37, 2), dtype=np.float32)


def golden_picture(width: int, height: int) -> Image.Image:
    """Return a picture with smooth parts, hard edges and noise."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(width * height).integers(0, 60, (height, width, 3))
    waves = [np.sin(x / 5) * 70 + 90, np.cos(y / 7) * 70 + 90, ((x // 8 + y // 8) % 2) * 150]
    return Image.fromarray((np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8))


def numbers_digest(tensors: Tensors) -> str:
    """Return a checksum of random numbers, which shows whether NumPy still generates the same ones."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(np.ascontiguousarray(tensors[name].reshape(-1)[:1000]).tobytes())
    return digest.hexdigest()


@cache
def golden(file: str) -> dict[str, NDArray[Any]]:
    """Return all arrays of a golden file."""
    with np.load(GOLDENS / f"{file}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def distances(found: NDArray[Any], expected: NDArray[Any]) -> tuple[float, float]:
    """Return 1 - cosine of the worst token, and the largest absolute difference."""
    a = found.reshape(-1, found.shape[-1]).astype(np.float64)
    b = expected.reshape(-1, expected.shape[-1]).astype(np.float64)
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return float(1 - cosine.min()), float(np.abs(a - b).max())
