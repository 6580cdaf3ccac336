"""Products of many tokens with one matrix, cut so that BLAS need not pack it.

BLAS copies both matrices of a product into an order of its own before it multiplies; with 257 tokens that
takes a tenth of the time, with 50 a third. OpenBLAS has kernels for AVX-512 that multiply small matrices as
they lie, without a copy. So a matrix is cut into panels of 64 columns once, when it is loaded, and the tokens
into as many rows as make a small product; NumPy multiplies all pairs in one call.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from threadpoolctl import threadpool_info

from model.network.buffers import aligned
from model.network.functional import Array

# Of `sgemm_small_kernel_permit` in OpenBLAS: rows times columns times depth, at most.
_SMALL = 1_000_000
_KERNELS = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
_TILE_ROWS = 4  # rows are computed so many at a time; a remainder costs as much
_NARROW, _WIDE = 64, 384


def cut(matrix: Array) -> Array:
    """Cut a matrix into panels, each of which lies in one piece.

    Parameters
    ----------
    matrix : ndarray of float32, shape (into, out)

    Returns
    -------
    ndarray of float32, shape (P, into, W)
        P panels, side by side ``P W = out`` columns.
    """
    into, out = matrix.shape
    widest = _NARROW if _multiplies_unpacked() else _WIDE
    width = next(width for width in range(min(widest, out), 0, -1) if out % width == 0)
    panels = aligned(out // width, into, width)
    np.copyto(panels, matrix.reshape(into, -1, width).swapaxes(0, 1))
    return panels


def product(x: Array, panels: Array, out: Array) -> None:
    """Multiply tokens by a matrix: ``out = x matrix``.

    Parameters
    ----------
    x : ndarray of float32, shape (..., into)
        C-contiguous.
    panels : ndarray of float32, shape (P, into, W)
        As `cut` makes them, or some of those, or some rows of each.
    out : ndarray of float32, shape (..., P W)
        C-contiguous; receives the result.
    """
    P, into, width = panels.shape
    x, out = x.reshape(-1, into), out.reshape(-1, P, width)
    rows = rows_at_once(len(x), into, width)
    whole = len(x) - len(x) % rows
    tiles, tiles_out = x[:whole].reshape(-1, rows, into), out[:whole].reshape(-1, rows, P, width)
    # Panel by panel: one stays in the cache while all rows pass it.
    np.matmul(tiles, panels[:, None], out=tiles_out.transpose(2, 0, 1, 3))
    if whole < len(x):
        np.matmul(x[whole:], panels, out=out[whole:].swapaxes(0, 1))


def rows_at_once(count: int, into: int, width: int) -> int:
    """Return how many of `count` rows to multiply by an `into` x `width` matrix in one product.

    All at once where the kernels pack, else as many as they take for small, in tiles as even as can be.
    """
    most = _SMALL // (into * width) // _TILE_ROWS * _TILE_ROWS if _multiplies_unpacked() else 0
    if count <= most or not most:
        return max(count, 1)
    even = -(-count // -(-count // most))
    return min(most, -(-even // _TILE_ROWS) * _TILE_ROWS)


@cache
def _multiplies_unpacked() -> bool:
    """Return whether NumPy's BLAS has kernels for small matrices."""
    return any(library.get("architecture") in _KERNELS for library in threadpool_info())
