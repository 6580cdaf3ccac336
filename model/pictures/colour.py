"""Conversion of every mode that Pillow decodes to 8-bit RGB.

Embedded colour profiles are ignored. DINOv2 was trained on pixel values as they are stored, and its reference
features were computed from these; a conversion would also depend on the version of the colour engine.
`model.pictures.gate` calls `to_rgb`.
"""

from __future__ import annotations

import math

from PIL import Image

from model.errors import PictureError


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a decoded picture of any mode to RGB, with transparency on white.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode; it is not changed.

    Returns
    -------
    PIL.Image.Image
        A new picture, mode RGB, without metadata. 16-bit grey is divided by 257. 32-bit integers and floating
        point have no fixed white: values up to 255 or 65535, or up to 1 or 255, are taken as the usual scale,
        others are stretched.

    Raises
    ------
    PictureError
        ``broken``: values are not finite.
    """
    grey = _eight_bit(image) if image.mode == "F" or image.mode.startswith("I") else image
    rgb = _on_white(grey)
    rgb.info.clear()
    return rgb


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point grey; Pillow's own conversion would clip at 255."""
    wide = image if image.mode == "F" else image.convert("I")
    black, white = _range(wide, {"F": (1.0, 255.0), "I": (255.0, 65535.0)}.get(image.mode, (65535.0,)))
    scale = 255.0 / (white - black)
    grey = wide.point(lambda value: value * scale + (0.5 - black * scale)).convert("L")
    if isinstance(key := image.info.get("transparency"), int):
        grey.info["transparency"] = int((key - black) * scale + 0.5)
    return grey


def _range(image: Image.Image, whites: tuple[float, ...]) -> tuple[float, float]:
    """Return the values of black and white: 0 and the first of `whites` not exceeded, else the extremes."""
    low, high = image.getextrema()
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and math.isfinite(high - low)):
        raise PictureError("broken", "the picture's values are not finite numbers")
    for white in whites:
        if low >= 0 and high <= white:
            return 0.0, white
    return float(low), max(float(high), low + 1.0)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if not image.has_transparency_data:
        return image.convert("RGB")
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        # Pillow reduces 16-bit RGB to the high bytes, but not the transparent colour.
        image = image.copy()
        image.info["transparency"] = tuple(part >> 8 for part in key)
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # convert would copy
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white
