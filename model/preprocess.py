"""Preprocessing: from a picture to the network's input, in three modes.

Each mode takes an upright RGB picture, as `model.pictures.open_rgb` returns it, and returns float32 of shape
(3, H, W), scaled to [0, 1] and normalised with ImageNet's mean and standard deviation. The mode is part of
the fingerprint. `model.encoder` calls `prepare` and `read_geometry`. Imports NumPy, Pillow, `model.config`
and `model.errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.config import PreprocessMode
from model.errors import CheckpointError, PictureError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

MAX_ASPECT = 16  # beyond that, `resize_short_side` would need gigabytes for a picture of a single line
_MAX_ASPECT_RESIZED_WHOLE = 8


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the evaluation transform.

    Attributes
    ----------
    resize : int
        Length of the shorter side after resizing, in pixels.
    crop : int
        Side of the central square, in pixels.

    Raises
    ------
    CheckpointError
        Not ``0 < crop <= resize <= 4096``.
    """

    resize: int
    crop: int

    def __post_init__(self) -> None:
        if not 0 < self.crop <= self.resize <= 4096:
            raise CheckpointError(
                f"preprocessing sizes resize {self.resize} and crop {self.crop} are invalid: crop must be "
                "positive and at most resize, and resize at most 4096."
            )


def official(image: Image.Image, resize: int = 256, crop: int = 224) -> NDArray[np.float32]:
    """Apply DINOv2's evaluation transform: resize (bicubic, antialiased), then crop the centre.

    Parameters
    ----------
    image : PIL.Image.Image
        Upright RGB.
    resize, crop : int
        Length of the shorter side after resizing, and side of the central square, in pixels.

    Returns
    -------
    ndarray of float32, shape (3, crop, crop)

    Notes
    -----
    Sizes are rounded, and odd margins split, as in transformers' BitImageProcessor.
    """
    width, height = image.size
    short, long = min(width, height), max(width, height)
    if long > _MAX_ASPECT_RESIZED_WHOLE * short:
        return normalise(_resize_centre(image, resize, crop))
    scaled = int(resize * long / short)
    size = (resize, scaled) if width <= height else (scaled, resize)
    return center_crop(image.resize(size, Image.Resampling.BICUBIC), crop)


def center_crop(image: Image.Image, size: int = 224) -> NDArray[np.float32]:
    """Crop the centre of the picture without resizing it; a smaller picture is padded with black.

    Parameters
    ----------
    image : PIL.Image.Image
        Upright RGB.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    ndarray of float32, shape (3, size, size)
    """
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return normalise(image.crop((left, top, left + size, top + size)))


def resize_short_side(image: Image.Image, size: int = 224, multiple: int = 14) -> NDArray[np.float32]:
    """Resize the whole picture in proportion, each side rounded down to a multiple of the patch size.

    Parameters
    ----------
    image : PIL.Image.Image
        Upright RGB.
    size : int
        Length of the shorter side after resizing, in pixels.
    multiple : int
        The patch size, in pixels.

    Returns
    -------
    ndarray of float32, shape (3, H, W)

    Raises
    ------
    PictureError
        ``too_many_pixels``: one side is more than 16 times as long as the other.
    """
    width, height = image.size
    short, long = min(width, height), max(width, height)
    if long > MAX_ASPECT * short:
        raise PictureError(
            "too_many_pixels",
            f"The picture is {width} x {height}; one side may be at most {MAX_ASPECT} times the other.",
        )
    short_side, long_side = size // multiple * multiple, size * long // short // multiple * multiple
    scaled = (short_side, long_side) if width <= height else (long_side, short_side)
    return normalise(image.resize(scaled, Image.Resampling.BICUBIC))


def normalise(image: Image.Image) -> NDArray[np.float32]:
    """Convert an RGB picture to an array, normalised with ImageNet's mean and standard deviation.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.

    Returns
    -------
    ndarray of float32, shape (3, H, W)
    """
    pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)
    scale = (1 / (255 * np.array(STD))).astype(np.float32)[:, None, None]
    offset = (np.array(MEAN) / np.array(STD)).astype(np.float32)[:, None, None]
    return np.ascontiguousarray(pixels * scale - offset)


def prepare(image: Image.Image, mode: PreprocessMode, geometry: Geometry, patch: int) -> NDArray[np.float32]:
    """Preprocess one picture in the given mode.

    Parameters
    ----------
    image : PIL.Image.Image
        Upright RGB.
    mode : {"official", "center_crop", "resize_short_side"}
    geometry : Geometry
        `crop` is the size in the second and third mode too.
    patch : int
        The patch size, in pixels.

    Returns
    -------
    ndarray of float32, shape (3, H, W)

    Raises
    ------
    PictureError
        As `resize_short_side` does.
    """
    if mode == "official":
        return official(image, geometry.resize, geometry.crop)
    if mode == "center_crop":
        return center_crop(image, geometry.crop)
    return resize_short_side(image, geometry.crop, patch)


def read_geometry(
    preprocessor: Mapping[str, Any], metadata: Mapping[str, str], grid: int, patch: int
) -> Geometry:
    """Return the preprocessing sizes that a checkpoint was trained for.

    Parameters
    ----------
    preprocessor : mapping
        Content of ``preprocessor_config.json`` beside the checkpoint; may be empty.
    metadata : mapping of str to str
        The checkpoint's metadata, which may have ``resize`` and ``crop``.
    grid, patch : int
        As in `model.config.ViTConfig`.

    Returns
    -------
    Geometry
        From `metadata`, else from `preprocessor`, else 256 and 224 for DINOv2's table of 37 x 37, else the
        size of the table as crop, and 8/7 of it as resize, which is DINOv2's proportion.

    Raises
    ------
    CheckpointError
        The sizes are invalid, or `preprocessor` has another mean or standard deviation than ImageNet's.
    """
    try:
        if "resize" in metadata and "crop" in metadata:
            return _checked(Geometry(int(metadata["resize"]), int(metadata["crop"])), patch)
        if preprocessor:
            for name, values in (("image_mean", MEAN), ("image_std", STD)):
                if not np.allclose(preprocessor.get(name, values), values, atol=1e-3):
                    raise CheckpointError(
                        f"preprocessor_config.json has {name} {preprocessor[name]}; it must be {values}."
                    )
            crop = preprocessor["crop_size"]["height"]
            return _checked(Geometry(int(preprocessor["size"]["shortest_edge"]), int(crop)), patch)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint's preprocessing sizes cannot be read: {error!r}") from error
    if grid * patch == 518:
        return Geometry(256, 224)
    return Geometry(round(grid * patch * 8 / 7), grid * patch)


def _checked(geometry: Geometry, patch: int) -> Geometry:
    if geometry.crop % patch:
        raise CheckpointError(
            f"the preprocessing's crop of {geometry.crop} is not a multiple of the patch size, {patch}."
        )
    return geometry


def _resize_centre(image: Image.Image, resize: int, crop: int) -> Image.Image:
    """Resize only what the crop keeps: a line of 1 x 10,000 pixels would become 2.5 million long."""
    step = min(image.size) / resize
    half = crop * step / 2
    x, y = image.width / 2, image.height / 2
    box = (x - half, y - half, x + half, y + half)
    return image.resize((crop, crop), Image.Resampling.BICUBIC, box=box)
