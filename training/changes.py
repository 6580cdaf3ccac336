"""What people do to pictures, as the figures measure it: every change is the same for each picture."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps

Change = Callable[[Image.Image], Image.Image]

_BORDER, _BAR = (32, 33, 36), (232, 234, 237)


def crop(picture: Image.Image, share: float) -> Image.Image:
    """Cut out the middle of a picture, `share` of its area."""
    width, height = (max(1, round(side * share**0.5)) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def recompress(picture: Image.Image) -> Image.Image:
    """Save and load a picture as JPEG of quality 30."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def frame(picture: Image.Image) -> Image.Image:
    """Surround a picture as a screenshot does: a third of the result is a dark border with a light bar."""
    width, height = (round(side * 1.5**0.5) for side in picture.size)
    framed = Image.new("RGB", (width, height), _BORDER)
    framed.paste(_BAR, (0, 0, width, max(1, height // 16)))
    framed.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return framed


def darken(picture: Image.Image, factor: float) -> Image.Image:
    """Multiply all numbers by `factor`."""
    return ImageEnhance.Brightness(picture).enhance(factor)


MILD: dict[str, Change] = {
    "mirrored": ImageOps.mirror,
    "cropped to 60 %": lambda picture: crop(picture, 0.6),
    "half as bright": lambda picture: darken(picture, 0.5),
    "JPEG 30": recompress,
}
"""What must not change what is found."""

STRONG: dict[str, Change] = {
    "black and white": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
    "cropped to a third": lambda picture: crop(picture, 1 / 3),
    "in a frame": frame,
    "darkened to an eighth": lambda picture: darken(picture, 0.125),
    "quarter turn": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}
"""What a search should survive."""
