"""What the figures compare: checkpoints as Vitrine runs them, the teacher, a histogram, random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model import Encoder, load_encoder
from model.preprocess import Geometry

Vectors = NDArray[np.float32]
Encode = Callable[[list[Image.Image]], Vectors]

BINS = 8
_SIDE = 64
_CHUNK = 256
_BATCH = 32


def encoder_named(name: str, resize: int | None = None) -> Encode:
    """Return what makes unit vectors: of a checkpoint, or ``histogram``, ``random`` or ``teacher``."""
    if name == "histogram":
        return histogram
    if name == "teacher":
        from training.teacher import load_teacher, pooled  # PyTorch and a wheel that only training needs

        teacher = load_teacher()
        return lambda pictures: pooled(teacher, pictures)
    if name == "random":
        return random_weights()
    return encoder_of(Path(name), resize)


def encoder_of(checkpoint: Path, resize: int | None = None) -> Encode:
    """Return what makes unit vectors with a checkpoint, as Vitrine runs it."""
    encoder = _load(checkpoint, resize)

    def encode(pictures: list[Image.Image]) -> Vectors:
        return unit(encoder.encode(pictures, batch_size=_BATCH))

    return encode


def patches_of(checkpoint: str, resize: int | None = None) -> Callable[[Image.Image], Vectors]:
    """Return what gives the patch tokens of a picture, (h, w, D)."""
    encoder = _load(Path(checkpoint), resize)
    return lambda picture: encoder.encode_with_patches(picture)[1]


def _load(checkpoint: Path, resize: int | None) -> Encoder:
    encoder = load_encoder(checkpoint)
    if resize is not None:
        encoder.geometry = Geometry(resize, resize)
    return encoder


def histogram(images: list[Image.Image]) -> Vectors:
    """Describe pictures by the square root of how often each of 8 x 8 x 8 colours occurs: (n, 512)."""
    rows = []
    for image in images:
        small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), dtype=np.int64)
        red, green, blue = (small // (256 // BINS)).reshape(-1, 3).T
        counts = np.bincount((red * BINS + green) * BINS + blue, minlength=BINS**3)
        rows.append(np.sqrt(counts / counts.sum()))
    return np.stack(rows).astype(np.float32)


def random_weights() -> Encode:
    """Return the recipe's network before it has learnt anything, as an encoder."""
    import torch

    from training.export import export
    from training.network import Network
    from training.recipe import Recipe

    recipe = Recipe()
    torch.manual_seed(recipe.seed)
    with tempfile.TemporaryDirectory() as folder:
        return encoder_of(export(Network(recipe.config), Path(folder)))


def encode_all(encode: Encode, pictures: Sequence[Image.Image]) -> Vectors:
    """Encode many pictures, some at a time."""
    parts = range(0, len(pictures), _CHUNK)
    return np.concatenate([encode(list(pictures[start : start + _CHUNK])) for start in parts])


def unit(rows: Vectors) -> Vectors:
    """Scale rows to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
