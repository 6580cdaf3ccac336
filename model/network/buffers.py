"""Memory that is reused from one picture to the next.

Every module of `model.network` that computes takes its scratch arrays from here. Imports NumPy only.
"""

from __future__ import annotations

import math
import mmap

import numpy as np
from numpy.typing import NDArray

# Bytes from which an array gets its own pages: on the heap, it would leave a hole when it is freed.
OWN_PAGES = 1 << 20
CACHE_LINE = 64  # bytes; also the width of AVX-512's registers


def aligned(*shape: int) -> NDArray[np.float32]:
    """Return an array that begins at a cache line.

    NumPy's own arrays begin 16 bytes after one, so that every load of 64 bytes touches two lines.

    Parameters
    ----------
    *shape : int

    Returns
    -------
    ndarray of float32, C-contiguous
        Its contents are undefined.
    """
    size = math.prod(shape)
    if size * 4 >= OWN_PAGES:
        return np.frombuffer(mmap.mmap(-1, size * 4, mmap.MAP_PRIVATE), np.float32).reshape(shape)
    raw = np.empty(size + CACHE_LINE // 4, np.float32)
    start = -raw.ctypes.data % CACHE_LINE // 4
    return raw[start : start + size].reshape(shape)


class Buffers:
    """Scratch arrays of one thread, by name.

    Fresh memory costs a page fault every 4 KB, which is more than the arithmetic that many steps do on it. An
    array grows to the largest size that was requested and is then reused; its contents are undefined.
    """

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[np.float32]] = {}

    def take(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return the array called `name` in this shape.

        Parameters
        ----------
        name : str
        *shape : int

        Returns
        -------
        ndarray of float32, C-contiguous
            Shares its memory with every other array taken by this name.
        """
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size:
            flat = self._flat[name] = aligned(size)
        return flat[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(flat.nbytes for flat in self._flat.values())
