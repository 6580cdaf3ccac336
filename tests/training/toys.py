"""A toy set that a small network learns in seconds: discs and bars, as photographs and as drawings."""

from __future__ import annotations

import numpy as np

from model.config import ViTConfig
from training.packs import Pack
from training.recipe import Recipe

SIDE = 28
NAMES = ("cat", "ship")
CODES = ("1f408", "1f6a2")
ABOUT = {"title": "Toys", "source": "drawn by a test", "licence": "none needed"}

RECIPE = Recipe(
    config=ViTConfig(width=64, depth=2, heads=1, hidden=128, mlp="gelu", patch=14, grid=2),
    resize=28,
    stages=((0.0, 28, 1.0),),
    batch=32,
    lr=3e-3,
    held_out=4,
)


def _picture(label: int, rng: np.random.Generator, background: int) -> np.ndarray:
    """Draw a disc or two bars at some place, in some colour."""
    rows, columns = np.indices((SIDE, SIDE)) - rng.integers(11, 17, 2)[:, None, None]
    shape = rows**2 + columns**2 < 64 if label == 0 else (abs(rows) % 8 < 4) & (abs(columns) < 11)
    picture = np.full((SIDE, SIDE, 3), background, np.uint8)
    picture[shape] = rng.integers(0, 100, 3)
    return picture


def toy_pack(kind: str, count: int = 24, seed: int = 1) -> Pack:
    """Make a pack of `count` pictures in two classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    background = 255 if kind == "pictograms" else 180
    pictures = np.stack([_picture(int(label), rng, background) for label in labels])
    names = NAMES if kind == "photographs" else CODES
    groups = {} if kind == "photographs" else {"1f408": "animal-mammal", "1f6a2": "transport-water"}
    return Pack(pictures, labels, names, groups, kind, ABOUT)


def toy_packs() -> list[Pack]:
    """Photographs, and pictograms in two renderings."""
    return [toy_pack("photographs", 48), toy_pack("pictograms", 2, 2), toy_pack("pictograms", 2, 3)]
