"""What a model has to beat: a colour histogram, and the same network before it has learnt anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.export import export
from training.network import Network
from training.recipe import Recipe

BINS = 8
_SIDE = 64


def histogram(images: list[Image.Image]) -> NDArray[np.float32]:
    """Describe pictures by the square root of how often each of 8 x 8 x 8 colours occurs: (n, 512)."""
    rows = []
    for image in images:
        small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), dtype=np.int64)
        red, green, blue = (small // (256 // BINS)).reshape(-1, 3).T
        counts = np.bincount((red * BINS + green) * BINS + blue, minlength=BINS**3)
        rows.append(np.sqrt(counts / counts.sum()))
    return np.stack(rows).astype(np.float32)


def random_weights(folder: Path) -> Path:
    """Write the recipe's network with random weights as a checkpoint; return its path."""
    recipe = Recipe()
    torch.manual_seed(recipe.seed)
    return export(Network(recipe.config), folder, recipe.resize)
