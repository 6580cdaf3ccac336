"""Bounds on what Pillow's decoders take beside the pixels themselves: time and memory.

Pillow walks through headers, and through a few formats' pixels, piece by piece in Python. A file of twenty
megabytes can be cut into millions of pieces and so keep it busy for seconds while it claims a single pixel; a
progressive JPEG can draw the same pixels in a hundred thousand scans. Counting is the same on every machine,
where a clock would refuse on a slow one what a fast one lets in.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from PIL import ImageFile

from model.errors import PictureError

HEADER_READS = 100_000
"""A camera's JPEG takes about 100 reads up to its pixels, a GIF with XMP about 10,000."""

PIXEL_READS = 1_000_000
"""PNG takes four a chunk, which usually has 8 KB; all others but BMP take far fewer."""

BMP_READS = 4_000_000
"""Run-length encoded BMP takes one a byte, quick ones."""

MAX_SCANS = 500
"""Encoders make about 10 scans; each costs 2 to 3 ms at 40 million pixels, however empty it is."""

_PYTHON_DECODERS = frozenset({"bmp_rle"})
_PYTHON_FACTOR = 4
_START_OF_SCAN = b"\xff\xda"


class BudgetedFile:
    """A seekable binary file as Pillow's plug-ins use it, for reading a picture's header.

    Parameters
    ----------
    file : binary file
        Stays open, also when this is closed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._reads_left = HEADER_READS
        self._scans_left: int | None = None
        self.seek, self.tell, self.fileno = file.seek, file.tell, file.fileno

    def decode(self, kind: str) -> None:
        """From now on, let the pixels of a picture of this format be read."""
        self._reads_left = BMP_READS if kind == "BMP" else PIXEL_READS
        self._scans_left = MAX_SCANS if kind == "JPEG" else None

    def read(self, size: int = -1) -> bytes:
        """Read as `BinaryIO.read` does.

        Raises
        ------
        PictureError
            ``broken``: read too often, or too many scans.
        """
        self._reads_left -= 1
        if self._reads_left < 0:
            raise PictureError("broken", "the file is cut into too many small pieces")
        # A length in the file may claim gigabytes, and a file on disk would allocate them before it reads.
        data = self._file.read(min(size, self._size))
        if self._scans_left is not None:
            self._scans_left -= data.count(_START_OF_SCAN)
            if self._scans_left < 0:
                raise PictureError("broken", f"the JPEG has more than {MAX_SCANS} scans")
        return data


def cap(image: ImageFile.ImageFile, max_pixels: int) -> int:
    """Return how many pixels an opened picture may have.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        As far as its header.
    max_pixels : int
        For all that is decoded in C.

    Returns
    -------
    int
        A quarter of `max_pixels` where Pillow decodes in Python, at 0.1 microseconds a pixel.
    """
    slow = any(tile.codec_name in _PYTHON_DECODERS for tile in image.tile)
    return max_pixels // _PYTHON_FACTOR if slow else max_pixels


def load(image: ImageFile.ImageFile) -> None:
    """Decode an opened picture's first frame.

    The decoders of WebP and AVIF hold two more canvases, 320 MB at worst, which Pillow would keep while it
    copies the frame that they have given. Here they are let go as soon as the frame is there.
    """
    if not hasattr(image, "_decoder"):
        image.load()
        return
    prepare = image.load_prepare

    def release_and_prepare() -> None:
        image._decoder = None
        prepare()

    image.load_prepare = release_and_prepare  # type: ignore[method-assign]
    try:
        image.load()
    finally:
        del image.load_prepare  # else the picture is a cycle, and its memory waits for the collector
