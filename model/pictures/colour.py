"""Conversion of every mode that the readers return to 8-bit RGB: scale, colour profile, transparency.

`model.pictures.gate` calls `to_rgb`. Imports Pillow and the package's own modules.
"""

from __future__ import annotations

import math

from PIL import Image, ImageMath

from model.errors import PictureError
from model.pictures.profiles import mode_of, to_srgb

WHITE, BLACK = 255, 0
"""Backgrounds of transparent pictures."""

_SAMPLE_SIDE = 1024
_SOLID = 128
_BRIGHT = 200
_SEEN = 0.05
_FEW = 64
"""Pixels: with fewer there is no shape to be seen on any background."""


def to_rgb(image: Image.Image, profile: bytes = b"") -> Image.Image:
    """Convert a decoded picture of any mode to RGB.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode; it is not changed.
    profile : bytes
        The embedded colour profile; one that is damaged or not for this picture is ignored.

    Returns
    -------
    PIL.Image.Image
        A new picture, mode RGB, without metadata, in sRGB. Transparency is laid on white, and on black if the
        picture would vanish on white. 16-bit grey is divided by 257. 32-bit integers and floating point have
        no fixed white: values up to 255 or 65535, or up to 1 or 255, are taken as the usual scale, others are
        stretched.

    Raises
    ------
    PictureError
        ``broken``: values are not finite.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bit(image)
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if image.has_transparency_data:
        rgb = _on_background(_rgba(image, profile))
    elif image.mode in ("L", "CMYK", "LAB"):
        rgb = to_srgb(image, profile)
    else:
        rgb = to_srgb(image.convert("RGB"), profile)
    rgb.info.clear()
    return rgb


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point grey; Pillow's own conversion would clip at 255."""
    wide = image if image.mode == "F" else image.convert("I")
    black, white = value_range(image)
    scale = 255.0 / (white - black)
    grey = wide.point(lambda value: value * scale + (0.5 - black * scale)).convert("L")
    if isinstance(key := image.info.get("transparency"), int):
        # Compared before scaling: hundreds of 16-bit values become the same 8-bit value.
        clear = ImageMath.lambda_eval(lambda bands: bands["wide"] == key, wide=wide)
        grey.putalpha(clear.point(lambda value: value * -255 + 255).convert("L"))
    return grey


def value_range(image: Image.Image) -> tuple[float, float]:
    """Return the values of black and white of wide grey.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode I;16, I or F.

    Returns
    -------
    black, white : float
        0 and the first usual scale that is not exceeded, else the extremes.

    Raises
    ------
    PictureError
        ``broken``: values are not finite.
    """
    wide = image if image.mode == "F" else image.convert("I")
    low, high = wide.getextrema()
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and math.isfinite(high - low)):
        raise PictureError("broken", "the picture's values are not finite numbers")
    for white in {"F": (1.0, 255.0), "I": (255.0, 65535.0)}.get(image.mode, (65535.0,)):
        if low >= 0 and high <= white:
            return 0.0, white
    return float(low), max(float(high), low + 1.0)


def _rgba(image: Image.Image, profile: bytes) -> Image.Image:
    if profile and mode_of(profile) == "L" and image.mode in ("L", "LA"):
        rgba = image.convert("LA")
        rgb = to_srgb(rgba.getchannel("L"), profile)
        rgb.putalpha(rgba.getchannel("A"))
        return rgb
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # convert would copy
    return to_srgb(rgba, profile)


def _on_background(rgba: Image.Image) -> Image.Image:
    flat = Image.new("RGB", rgba.size, (_background(rgba),) * 3)
    flat.paste(rgba, mask=rgba.getchannel("A"))
    return flat


def _background(rgba: Image.Image) -> int:
    """Return white, or black if hardly anything would be seen on white."""
    step = -(-max(rgba.size) // _SAMPLE_SIDE)
    size = (-(-rgba.width // step), -(-rgba.height // step))
    sample = rgba.resize(size, Image.Resampling.NEAREST) if step > 1 else rgba
    solid = sample.getchannel("A").point(lambda alpha: WHITE if alpha >= _SOLID else 0)
    counts = sample.convert("L").histogram(solid)
    visible = sum(counts)
    return BLACK if visible >= _FEW and sum(counts[:_BRIGHT]) < _SEEN * visible else WHITE
