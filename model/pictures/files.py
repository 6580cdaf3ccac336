"""Files as decoders see them: put together from pieces, with a limit on the number of reads.

The modules that read headers hand Pillow a file that holds only what decoding needs, so that no decoder ever
meets metadata. `model.pictures.gate` and the readers of single formats use this. Standard library alone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, Protocol


class Piece(NamedTuple):
    """The bytes from `start` to `end` of a file."""

    start: int
    end: int


class Readable(Protocol):
    """What is needed of a file."""

    @property
    def seek(self) -> Callable[[int], int]:
        """Sets the position."""

    def read(self, size: int = ..., /) -> bytes:
        """Read bytes."""


class SplicedFile(io.RawIOBase):
    """A read-only file made of bytes and of pieces of another file, one after the other.

    Parameters
    ----------
    file : binary file
        Seekable; the pieces are pieces of it. It stays open when this object is closed.
    *parts : bytes or Piece
        The content, in order.

    Attributes
    ----------
    size : int
        Length in bytes.
    """

    def __init__(self, file: Readable, *parts: bytes | Piece) -> None:
        super().__init__()
        self._file = file
        self._parts: list[tuple[int, bytes | Piece]] = []
        self.size = self._at = 0
        for part in parts:
            length = part.end - part.start if isinstance(part, Piece) else len(part)
            if length > 0:
                self._parts.append((self.size, part))
                self.size += length

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, as `BinaryIO.seek` does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read as `BinaryIO.read` does."""
        end = self.size if size is None or size < 0 else min(self.size, self._at + size)
        found = []
        for start, part in self._parts:
            length = part.end - part.start if isinstance(part, Piece) else len(part)
            low, high = max(self._at - start, 0), min(end - start, length)
            if low >= high:
                continue
            if isinstance(part, Piece):
                self._file.seek(part.start + low)
                data = self._file.read(high - low)
            else:
                data = part[low:high]
            found.append(data)
            self._at += len(data)
            if len(data) < high - low:
                break
        return found[0] if len(found) == 1 else b"".join(found)


def size_of(file: BinaryIO) -> int:
    """Return the length of a file in bytes, and go to its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size
