"""Views of a picture: what the teacher sees, and what the student sees of the same.

The student's first view is nearly what the teacher sees. Its second is what people do to pictures: they crop
and turn them, take screenshots of them, and pass them on small, dark, grey or compressed. Both are to lead to
what the teacher says of the clean picture.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from training.pictograms import Rendering

Pixels = NDArray[np.uint8]
Chance = np.random.Generator

CLEAN = 160
"""Side in pixels of what the teacher sees."""

_BICUBIC = Image.Resampling.BICUBIC
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ANYHOW_GREY = 0.06  # of the second views, besides those that are made grey on purpose
_MIRRORED = 0.3
_PLAIN_BACKGROUND = 0.75


def clean(picture: Image.Image, chance: Chance) -> Image.Image:
    """Cut out 40 to 100 % of a picture's area, mirror every second, and make it square: what is taught on."""
    square = picture.resize((CLEAN, CLEAN), _BICUBIC, box=random_box(picture, 0.4, 1.0, chance))
    return ImageOps.mirror(square) if chance.random() < 0.5 else square


def random_box(
    picture: Image.Image, least: float, most: float, chance: Chance
) -> tuple[float, float, float, float]:
    """Choose a piece of a picture by its share of the area; its sides differ by a quarter at most."""
    width, height = picture.size
    area = width * height * math.exp(chance.uniform(math.log(least), math.log(most)))
    aspect = math.exp(chance.uniform(-1, 1) * math.log(1.25))
    w, h = min(width, (area * aspect) ** 0.5), min(height, (area / aspect) ** 0.5)
    left, top = chance.uniform(0, width - w), chance.uniform(0, height - h)
    return left, top, left + w, top + h


def first_view(square: Image.Image, side: int, chance: Chance) -> Pixels:
    """Scale a clean picture and change its brightness and saturation a little."""
    pixels = _as_floats(square, side) * chance.uniform(0.75, 1.15)
    return _as_bytes(_saturate(pixels, chance.uniform(0.7, 1.2)))


def second_view(square: Image.Image, side: int, chance: Chance) -> Pixels:
    """Change a clean picture in one of the ways of `CHANGES`, and its colours and light besides."""
    name = str(chance.choice(list(CHANGES), p=_CHANCES))
    changed = CHANGES[name][1](square, chance)
    if name != "turned" and chance.random() < _MIRRORED:
        changed = ImageOps.mirror(changed)
    pixels = _as_floats(changed, side)
    pixels *= chance.uniform(0.08, 0.35) if name == "dark" else chance.uniform(0.55, 1.2)
    if name == "grey" or chance.random() < _ANYHOW_GREY:
        pixels = np.repeat((pixels @ _LUMA)[..., None], 3, axis=2)
    else:
        pixels = _saturate(pixels, chance.uniform(0.5, 1.4))
        pixels *= chance.uniform(0.9, 1.1, 3).astype(np.float32)
    middle = pixels.mean()
    return _as_bytes(middle + (pixels - middle) * chance.uniform(0.6, 1.35))


def drawing(rendering: Rendering, side: int, chance: Chance) -> Image.Image:
    """Put a pictogram somewhere on a plain square, mostly white, up to half as large again as itself."""
    white = chance.random() < _PLAIN_BACKGROUND
    background = "white" if white else _random_colour(120, chance)
    image = rendering.open(background)
    length = int(max(image.size) * chance.uniform(1.0, 1.5))
    square = Image.new("RGB", (length, length), background)
    place = [int(chance.uniform(0, length - edge + 1)) for edge in image.size]
    square.paste(image, (place[0], place[1]))
    return square.resize((side, side), _BICUBIC)


def _same(square: Image.Image, chance: Chance) -> Image.Image:
    return square


def _cropped(square: Image.Image, chance: Chance) -> Image.Image:
    return square.resize(square.size, _BICUBIC, box=random_box(square, 0.25, 0.5, chance))


def _framed(square: Image.Image, chance: Chance) -> Image.Image:
    """Lay a picture on a larger one: a plain colour, at times with bars across it as an application has."""
    length = int(CLEAN * chance.uniform(1.15, 1.9))
    grey = int(chance.choice([0, 30, 60, 245, 255]))
    background = Image.new("RGB", (length, length), _random_colour(0, chance))
    if chance.random() < 0.5:
        background = Image.new("RGB", (length, length), (grey, grey, grey))
    if chance.random() < 0.5:
        for _ in range(chance.integers(1, 4)):
            top = int(chance.integers(0, length - 8))
            bar = (0, top, length, top + int(chance.integers(2, length // 6)))
            background.paste(_random_colour(0, chance), bar)
    left, top = (int(chance.uniform(0, length - CLEAN)) for _ in range(2))
    background.paste(square, (left, top))
    return background


def _turned(square: Image.Image, chance: Chance) -> Image.Image:
    turns = [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180]
    return square.transpose(turns[int(chance.choice(3, p=[0.42, 0.42, 0.16]))])


def _small(square: Image.Image, chance: Chance) -> Image.Image:
    side = int(chance.integers(32, 72))
    return square.resize((side, side), _BICUBIC)


def _compressed(square: Image.Image, chance: Chance) -> Image.Image:
    file = io.BytesIO()
    square.save(file, "JPEG", quality=int(chance.integers(10, 40)))
    return Image.open(file).convert("RGB")


def _tilted(square: Image.Image, chance: Chance) -> Image.Image:
    return square.rotate(chance.uniform(-25, 25), _BICUBIC, fillcolor=_random_colour(0, chance))


CHANGES: dict[str, tuple[float, Callable[[Image.Image, Chance], Image.Image]]] = {
    "grey": (0.16, _same),
    "cropped": (0.18, _cropped),
    "framed": (0.18, _framed),
    "dark": (0.10, _same),
    "turned": (0.14, _turned),
    "small": (0.12, _small),
    "compressed": (0.06, _compressed),
    "tilted": (0.06, _tilted),
}
"""What a second view may be, how often, and what makes it; grey and dark are made of the pixels later."""

_CHANCES = [share for share, _ in CHANGES.values()]


def _random_colour(least: int, chance: Chance) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in chance.integers(least, 256, 3))
    return red, green, blue


def _as_floats(picture: Image.Image, side: int) -> NDArray[np.float32]:
    pixels = np.asarray(picture.resize((side, side), _BICUBIC), np.float32)
    return np.asarray(pixels / 255, np.float32)


def _as_bytes(pixels: NDArray[np.float32]) -> Pixels:
    return np.round(pixels.clip(0, 1) * 255).astype(np.uint8)


def _saturate(pixels: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    grey = pixels.mean(axis=2, keepdims=True)
    return np.asarray(grey + (pixels - grey) * factor, np.float32)
