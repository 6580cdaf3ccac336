"""Embedded colour profiles: conversion to sRGB within bounds.

A profile comes from the same stranger as the picture. It is used if it is small, well-formed and fits the
picture's colours, and ignored otherwise; pictures whose profile says nothing but sRGB keep their exact
values. `model.pictures.colour` calls `to_srgb`. Imports Pillow only.

References
----------
ICC.1:2022, section 7.
"""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageChops, ImageCms

MAX_PROFILE = 4 << 20
"""Bytes. Profiles of printing presses take up to 3 MB, those of cameras and screens a few KB."""

_HEADER = 128
_MAX_TAGS = 200
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}
_CLASSES = frozenset({b"mntr", b"scnr", b"prtr", b"spac"})
_UNBOUNDED = frozenset({b"D2B0", b"D2B1", b"D2B2", b"D2B3"})
"""Chains of any number of calculations."""

_SAME = 2
_STEPS = range(0, 256, 15)


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture to sRGB.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode L, RGB, RGBA, CMYK or LAB. RGBA is changed in place, RGB may be.
    profile : bytes
        The embedded profile; may be empty or damaged.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, or RGBA as before.
    """
    mode = "RGB" if image.mode == "RGBA" else image.mode
    transform = _transform(profile, mode) if profile or mode == "LAB" else None
    if transform is None:
        return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        converted = transform.apply(image.convert("RGB"))
        converted.putalpha(alpha)
        return converted
    if image.mode == "RGB":
        return transform.apply_in_place(image)
    return transform.apply(image)


def mode_of(profile: bytes) -> str:
    """Return the mode of pictures that a profile is for; empty if it is damaged, too large or unusual."""
    tags = int.from_bytes(profile[_HEADER : _HEADER + 4], "big")
    names = {profile[at : at + 4] for at in range(_HEADER + 4, _HEADER + 4 + 12 * min(tags, _MAX_TAGS), 12)}
    sound = (
        _HEADER < len(profile) <= MAX_PROFILE
        and profile[36:40] == b"acsp"
        and profile[12:16] in _CLASSES
        and 0 < tags <= _MAX_TAGS
        and not names & _UNBOUNDED
    )
    return _SPACES.get(profile[16:20], "") if sound else ""


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion, or None if the profile is not for this mode or makes no difference."""
    try:
        if mode_of(profile) == mode:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        elif mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            return None
        transform = ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB", ImageCms.Intent.PERCEPTUAL)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode in ("L", "RGB") and _changes_nothing(transform, mode) else transform


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether colours from the whole range stay what they are, but for rounding."""
    if mode == "L":
        sample = Image.frombytes("L", (256, 1), bytes(range(256)))
    else:
        colours = bytes(part for r in _STEPS for g in _STEPS for b in _STEPS for part in (r, g, b))
        sample = Image.frombytes("RGB", (len(colours) // 3, 1), colours)
    extremes = ImageChops.difference(transform.apply(sample), sample.convert("RGB")).getextrema()
    highest = (each[1] if isinstance(each, tuple) else each for each in extremes)
    return all(high <= _SAME for high in highest)
