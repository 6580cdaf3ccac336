"""Arrays that stay from one picture to the next."""

from __future__ import annotations

import math
import mmap

import numpy as np
from numpy.typing import NDArray

PAGES = 1 << 20  # bytes from which an array gets pages of its own: between freed ones it would leave holes
LINE = 64  # bytes of a cache's line, and of AVX-512's registers


def aligned(*shape: int) -> NDArray[np.float32]:
    """Return an array, its contents undefined, that begins where a line of the cache does.

    NumPy's own begin 16 bytes later, and every load of 64 bytes then takes two lines.
    """
    size = math.prod(shape)
    if size * 4 >= PAGES:
        return np.frombuffer(mmap.mmap(-1, size * 4, mmap.MAP_PRIVATE), np.float32).reshape(shape)
    raw = np.empty(size + LINE // 4, np.float32)
    start = -raw.ctypes.data % LINE // 4
    return raw[start : start + size].reshape(shape)


class Buffers:
    """One thread's scratch arrays, by name.

    Fresh memory costs a page fault every 4 KB, more than the arithmetic that many steps do on it. An array
    grows to the largest size asked for and is then used again; its contents are undefined.
    """

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[np.float32]] = {}

    def take(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return the array called `name` in this shape.

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
