"""Copies of pictures, encoded anew from their pixels, so that nothing of the original file survives."""

from __future__ import annotations

import io

from PIL import Image


def jpeg(image: Image.Image, side: int, quality: int = 90) -> bytes:
    """Make a smaller copy quickly: as WebP it would take ten times as long and be a fifth smaller.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB, as `model.pictures.open_rgb` returns it; it is not changed.
    side : int
        The result fits into side x side pixels; a smaller picture keeps its size. JPEG ends at 65,535.
    quality : int
        JPEG quality, 0 to 95.

    Returns
    -------
    bytes
        A JPEG file without EXIF, XMP or colour profile.
    """
    return _encoded(_fitted(image, side), "JPEG", quality=quality)


def _fitted(image: Image.Image, side: int) -> Image.Image:
    """Return a new picture without metadata, of which a comment would be written by itself.

    Lanczos's window takes twice the time of Hamming's, for a difference (39 dB) like that which JPEG makes.
    """
    longest = max(image.size)
    if longest <= side:
        small = image.copy()
    else:
        width, height = (max(1, round(length * side / longest)) for length in image.size)
        small = image.resize((width, height), Image.Resampling.HAMMING, reducing_gap=2.0)
    small.info.clear()
    return small


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
