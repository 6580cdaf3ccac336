"""Storage types of checkpoints: matrices of 8-bit integers with a scale for each row.

``matrix = q * scale[row]`` takes a quarter of the bytes of float32, and no number changes by more than half a
step, 1/254 of the largest in its row. The readers and `model.checkpoints.convert` call this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import CheckpointError

SCALE = ".scale"
"""Ending of the tensor, beside an 8-bit matrix, that holds its scales."""

LEVELS = 127  # symmetric: -128 is not used
_BLOCK_BYTES = 1 << 20
_MAX_SCALE = float(np.finfo(np.float32).max) / 128


def is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    """Return whether ``int8`` stores the parameter `name` in 8 bits: the weights of linear maps."""
    return name.endswith(".weight") and len(shape) >= 2


def quantise(matrix: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a matrix to 8-bit integers with a scale for each row.

    Symmetric, so that zero stays zero; a half rounds to the even neighbour.

    Parameters
    ----------
    matrix : ndarray of floating point, shape (rows, ...)
        At least two axes; finite.

    Returns
    -------
    q : ndarray of int8, the shape of `matrix`
        From -127 to 127.
    scale : ndarray of float32, shape (rows,)
        The largest absolute value of each row, divided by 127; 0 where the row is 0.

    Raises
    ------
    CheckpointError
        A number is not finite or too large.
    """
    rows = matrix.reshape(len(matrix), -1).astype(np.float32)
    scale = np.abs(rows).max(axis=1) / np.float32(LEVELS)
    check_scale(scale)
    steps = rows / np.where(scale > 0, scale, np.float32(1))[:, None]
    q = np.clip(np.rint(steps), -LEVELS, LEVELS).astype(np.int8)
    return q.reshape(matrix.shape), scale


def dequantise(
    shape: tuple[int, ...], scale: NDArray[np.float32], fill: Callable[[NDArray[np.int8]], None]
) -> NDArray[np.float32]:
    """Convert an 8-bit matrix to float32, a few rows at a time, so that memory never holds a second copy.

    Parameters
    ----------
    shape : tuple of int
        Of the matrix, its rows first.
    scale : ndarray of float32, shape (rows,)
    fill : callable
        Fills the array that it is called with, int8 of shape (some, width), with the next rows.

    Returns
    -------
    ndarray of float32, of this shape
    """
    matrix = np.empty(shape, np.float32)
    rows = matrix.reshape(len(scale), -1)
    step = max(1, _BLOCK_BYTES // rows.shape[1])
    buffer = np.empty((min(step, len(rows)), rows.shape[1]), np.int8)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        q = buffer[: len(block)]
        fill(q)
        np.multiply(q, scale[start : start + step, None], out=block)
    return matrix


def check_scale(scale: NDArray[np.float32]) -> None:
    """Check that scales are valid.

    Raises
    ------
    CheckpointError
        One of them is negative, not finite, or so large that a product overflows float32.
    """
    if not ((scale >= 0) & (scale <= _MAX_SCALE)).all():
        raise CheckpointError("a row's scale is negative, not finite or too large.")
