"""How well patch tokens say where a part of one picture lies in another.

A picture is compared with a changed copy of itself, so that the right place of every patch is known. Two
patches correspond when each is the other's nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Patches = Callable[[Image.Image], NDArray[np.float32]]

_SIDE = 0.6**0.5
_MARGIN = (1 - _SIDE) / 2

MAPS: dict[str, Floats] = {
    "crop": np.array([[_SIDE, 0, _MARGIN], [0, _SIDE, _MARGIN], [0, 0, 1]]),
    "mirror": np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]),
    "perspective": np.array([[0.9, 0.05, 0.02], [0.06, 0.85, 0.03], [0.12, -0.05, 1]]),
}
"""From places in the changed picture to places in the original, as 3 x 3 matrices over the unit square."""


def errors(patches: Patches, picture: Image.Image, matrix: Floats) -> Floats:
    """Measure how far corresponding patches of a picture and its changed copy lie from the right place.

    Parameters
    ----------
    patches : callable
        Returns the patch tokens of a square picture, (h, w, D).
    picture : PIL.Image.Image
        Square.
    matrix : ndarray, shape (3, 3)

    Returns
    -------
    ndarray of float64, shape (n,)
        One distance in patches for each pair that corresponds and whose right place is in the picture.
    """
    original, changed = patches(picture), patches(warp(picture, matrix))
    h, w, _ = original.shape
    centres = np.stack(np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h), axis=-1).reshape(
        -1, 2
    )
    there, here = mutual_nearest(original.reshape(h * w, -1), changed.reshape(h * w, -1))
    right = transform(centres[here], matrix)
    inside = ((right >= 0) & (right <= 1)).all(axis=1)
    distances = np.hypot(*((right - centres[there]) * (w, h)).T)
    return np.asarray(distances[inside])


def median_error(patches: Patches, pictures: Sequence[Image.Image], matrix: Floats) -> float:
    """Return the median of `errors` over all pairs of all pictures."""
    return float(np.median(np.concatenate([errors(patches, picture, matrix) for picture in pictures])))


def mutual_nearest(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of rows of `a` and `b` that are each other's nearest by cosine."""
    cosines = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (
        b / np.linalg.norm(b, axis=1, keepdims=True)
    ).T
    forth, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    rows = np.flatnonzero(back[forth] == np.arange(len(a)))
    return rows, forth[rows]


def transform(points: Floats, matrix: Floats) -> Floats:
    """Map points, (n, 2), by a projective matrix."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def warp(picture: Image.Image, matrix: Floats) -> Image.Image:
    """Draw the changed copy of a square picture: its place p shows what lies at ``matrix @ p``."""
    scale = np.diag([picture.width, picture.height, 1.0])
    pixels = scale @ matrix @ np.linalg.inv(scale)
    coefficients = (pixels / pixels[2, 2]).ravel()[:8].tolist()
    return picture.transform(
        picture.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor="grey"
    )
