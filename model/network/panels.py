"""Products of tokens with a matrix that is cut into panels, so that BLAS need not pack it.

BLAS packs, that is copies, both matrices of a product before it multiplies; with 257 tokens that takes a
tenth of the time, with 50 a third. OpenBLAS's kernels for AVX-512 multiply small matrices in place, without
packing. So a matrix is cut into panels of 64 columns once, when it is loaded, and the tokens into tiles of so
few rows that each product counts as small; NumPy multiplies all pairs in one call.

`model.network.fold` cuts the matrices, `model.network.layers` and `model.network.vit` multiply by them.
docs/performance.md has the measurements.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from threadpoolctl import threadpool_info

from model.network.buffers import aligned
from model.network.functional import Array

# OpenBLAS calls a product small up to this many rows x columns x depth (`sgemm_small_kernel_permit`).
_SMALL = 1_000_000
_KERNELS = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
_TILE_ROWS = 4  # rows that a kernel computes together; a remainder takes as long
# Columns of a panel, at most: where BLAS multiplies small matrices without packing, and elsewhere.
_NARROW, _WIDE = 64, 384


def cut(matrix: Array) -> Array:
    """Cut a matrix into panels, each contiguous in memory.

    Parameters
    ----------
    matrix : ndarray of float32, shape (into, out)

    Returns
    -------
    ndarray of float32, shape (P, into, C)
        P panels of C columns, where ``P C = out``.
    """
    into, out = matrix.shape
    widest = _NARROW if _multiplies_unpacked() else _WIDE
    columns = next(columns for columns in range(min(widest, out), 0, -1) if out % columns == 0)
    panels = aligned(out // columns, into, columns)
    np.copyto(panels, matrix.reshape(into, -1, columns).swapaxes(0, 1))
    return panels


def product(x: Array, panels: Array, out: Array) -> None:
    """Multiply tokens by a matrix in panels: ``out = x matrix``.

    Parameters
    ----------
    x : ndarray of float32, shape (..., into)
        C-contiguous.
    panels : ndarray of float32, shape (P, into, C)
        As `cut` returns them, or some of them, or some rows of each.
    out : ndarray of float32, shape (..., P C)
        C-contiguous; receives the result.
    """
    P, into, columns = panels.shape
    x, out = x.reshape(-1, into), out.reshape(-1, P, columns)
    rows = rows_at_once(len(x), into, columns)
    whole = len(x) - len(x) % rows
    tiles, tiles_out = x[:whole].reshape(-1, rows, into), out[:whole].reshape(-1, rows, P, columns)
    # Panel by panel: a panel stays in the cache while all rows are multiplied by it.
    np.matmul(tiles, panels[:, None], out=tiles_out.transpose(2, 0, 1, 3))
    if whole < len(x):
        np.matmul(x[whole:], panels, out=out[whole:].swapaxes(0, 1))


def rows_at_once(count: int, into: int, columns: int) -> int:
    """Return how many of `count` rows to multiply by an `into` x `columns` panel in one product.

    Where BLAS packs, that is all of them; else as many as still make a small product, in tiles of nearly
    equal size.
    """
    most = _SMALL // (into * columns) // _TILE_ROWS * _TILE_ROWS if _multiplies_unpacked() else 0
    if count <= most or not most:
        return max(count, 1)
    even = -(-count // -(-count // most))
    return min(most, -(-even // _TILE_ROWS) * _TILE_ROWS)


@cache
def _multiplies_unpacked() -> bool:
    """Return whether NumPy's BLAS has kernels that multiply small matrices without packing."""
    return any(library.get("architecture") in _KERNELS for library in threadpool_info())
