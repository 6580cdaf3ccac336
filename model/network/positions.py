"""Position embeddings for other picture sizes than in training, by bicubic interpolation.

The two references, dinov2 and transformers, interpolate differently, and both are matched exactly (see
`interpolate_positions`). The kernel is Keys' cubic convolution [1]_. `model.network.vit` calls this. Imports
NumPy and `model.config` only.

References
----------
.. [1] R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
   Acoustics, Speech, and Signal Processing 29 (6), 1981.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.config import PositionMode

OFFSET = 0.1  # dinov2's `interpolate_offset`; it keeps PyTorch from rounding the number of patches down


def cubic_kernel(x: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with the free parameter `a`; 0 outside [-2, 2].

    Parameters
    ----------
    x : ndarray of float64
        Distances from the sampling point.
    a : float
        Slope of the kernel at 1: -0.75 in PyTorch's plain bicubic, -0.5 in its antialiased one and in Pillow.

    Returns
    -------
    ndarray of float64
        Weights, in the shape of `x`.
    """
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def bicubic_matrix(source: int, target: int, step: float | None = None) -> NDArray[np.float64]:
    """Weights of plain bicubic resampling along one axis.

    Parameters
    ----------
    source, target : int
        Number of samples before and after.
    step : float, optional
        Distance of two target samples in source samples; ``source / target`` unless given.

    Returns
    -------
    ndarray of float64, shape (target, source)
        Row i has the weights of the source samples for target sample i. Taps beyond the border fall on the
        border sample.
    """
    step = source / target if step is None else step
    # PyTorch rounds step and sampling points to float32; without that, results differ by 1e-5.
    centre = ((np.arange(target) + 0.5) * float(np.float32(step)) - 0.5).astype(np.float32)
    first = np.floor(centre).astype(np.int64)
    matrix = np.zeros((target, source))
    for tap in range(-1, 3):
        column = np.clip(first + tap, 0, source - 1)
        weight = cubic_kernel(centre.astype(np.float64) - (first + tap), a=-0.75)
        np.add.at(matrix, (np.arange(target), column), weight)
    return matrix


def antialiased_bicubic_matrix(source: int, target: int) -> NDArray[np.float64]:
    """Weights of antialiased bicubic resampling along one axis, as PyTorch and Pillow define it.

    The kernel is widened by the factor of the reduction, cut off at the border and normalised.

    Parameters
    ----------
    source, target : int
        Number of samples before and after.

    Returns
    -------
    ndarray of float64, shape (target, source)
    """
    step = source / target
    stretch = max(step, 1.0)
    centre = (np.arange(target, dtype=np.float32)[:, None] + np.float32(0.5)) * np.float32(step)
    sample = np.arange(source)[None, :]
    first = np.floor(np.maximum(centre - 2 * stretch + 0.5, 0))
    last = np.minimum(np.floor(centre + 2 * stretch + 0.5), source)
    weights = cubic_kernel((sample + 0.5 - centre) / stretch, a=-0.5)
    weights = np.where((sample >= first) & (sample < last), weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def interpolate_positions(
    table: NDArray[np.float32], height: int, width: int, *, mode: PositionMode, registers: bool
) -> NDArray[np.float32]:
    """Resample the position table to a grid of `height` x `width` patches.

    Parameters
    ----------
    table : ndarray of float32, shape (G, G, D)
        The stored table, without the CLS token's position.
    height, width : int
        Patches down and across.
    mode : {"official", "transformers"}
        Whose interpolation to match.

        - ``official``, without registers: plain bicubic; the step is ``G / (n + 0.1)``.
        - ``transformers``, without registers: plain bicubic; the step is ``G / n``.
        - with registers, both agree: antialiased bicubic.
    registers : bool
        Whether the model has register tokens.

    Returns
    -------
    ndarray of float32, shape (height, width, D)
        `table` itself when the grid is that of the table: as in both references, nothing is resampled then.
    """
    grid = table.shape[0]
    if (height, width) == (grid, grid):
        return table
    if registers:
        rows, columns = antialiased_bicubic_matrix(grid, height), antialiased_bicubic_matrix(grid, width)
    elif mode == "official":
        rows = bicubic_matrix(grid, height, grid / (height + OFFSET))
        columns = bicubic_matrix(grid, width, grid / (width + OFFSET))
    else:
        rows, columns = bicubic_matrix(grid, height), bicubic_matrix(grid, width)
    return resample(table, rows, columns)


def resample(
    table: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Resample a table with one matrix for its rows and one for its columns, in float64.

    Parameters
    ----------
    table : ndarray of float32, shape (G, G, D)
    rows : ndarray of float64, shape (height, G)
    columns : ndarray of float64, shape (width, G)

    Returns
    -------
    ndarray of float32, shape (height, width, D)
    """
    down = np.tensordot(rows, table.astype(np.float64), axes=1)  # (height, G, D)
    across: NDArray[np.float64] = np.matmul(columns, down)  # (height, width, D)
    return across.astype(np.float32)
