"""Small galleries of generated pictures, and a real index of a gallery."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from config import Settings
from gallery.indexing import Report, build
from model import Encoder, load_encoder
from tests.support.checkpoints import write_tiny_checkpoint


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return a picture that differs for every seed: five coloured shapes on a coloured background."""
    rng = random.Random(seed)
    width, height = size

    def colour() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    image = Image.new("RGB", size, colour())
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        left, top = rng.randrange(width - 8), rng.randrange(height - 8)
        box = (left, top, rng.randrange(left + 4, width), rng.randrange(top + 4, height))
        rng.choice([draw.rectangle, draw.ellipse])(box, fill=colour())
    return image


def write_picture(path: Path, seed: int, size: tuple[int, int] = (64, 48), **options: Any) -> Path:
    """Write `picture(seed)` in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path, **options)
    return path


def make_gallery(root: Path, count: int = 12, *, seed: int = 0) -> Path:
    """Write `count` pictures, alternately JPEG and PNG, into three folders, and return `root`."""
    for number in range(count):
        suffix = ("jpg", "png")[number % 2]
        write_picture(root / "abc"[number % 3] / f"{number:03d}.{suffix}", seed + number)
    return root


def tiny_encoder(folder: Path, *, seed: int = 0) -> Encoder:
    """Return a real encoder with seeded random weights, D = 64, a few milliseconds per picture."""
    path = folder / f"tiny-{seed}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_tiny_checkpoint(path, seed=seed)
    return load_encoder(path)


def tiny_index(settings: Settings, count: int = 12, *, seed: int = 0) -> Report:
    """Prepare `settings` for searches: weights at `model_path`, pictures in `data_dir`, and their index.

    Existing weights are used, and pictures of an earlier call stay in the gallery.
    """
    if not settings.model_path.exists():
        settings.model_path.parent.mkdir(parents=True, exist_ok=True)
        write_tiny_checkpoint(settings.model_path)
    root = make_gallery(settings.data_dir / "pictures", count, seed=seed)
    encoder = load_encoder(settings.model_path)
    return build(root, settings.index_dir, encoder, thumbnails_dir=settings.thumbnails_dir)
