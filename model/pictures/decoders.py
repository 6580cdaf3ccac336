"""Limits on the time and memory that Pillow's decoders take, beyond the number of pixels.

Pillow reads headers, and the pixels of a few formats, piece by piece in Python. A file of twenty megabytes
can be cut into millions of pieces, and so keep Pillow busy for seconds over a single pixel; a progressive
JPEG can draw the same pixels in a hundred thousand scans. The limits are counts, not seconds, so that a file
that one machine accepts is accepted by all.

`model.pictures.gate` calls this. Imports Pillow and `model.errors`.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from PIL import ImageFile

from model.errors import PictureError

HEADER_READS = 100_000
"""A camera's JPEG takes about 100 reads before its pixels, a GIF with XMP about 10,000."""

PIXEL_READS = 1_000_000
"""PNG takes four reads per chunk, usually of 8 KB; all other formats except BMP take far fewer."""

BMP_READS = 4_000_000
"""Run-length encoded BMP takes one quick read per byte."""

MAX_SCANS = 500
"""Encoders write about 10 scans. Each takes 2 to 3 ms at 40 million pixels, even if it is empty."""

_PYTHON_DECODERS = frozenset({"bmp_rle"})
_PYTHON_FACTOR = 4
_START_OF_SCAN = b"\xff\xda"


class BudgetedFile:
    """A binary file for Pillow's plug-ins that limits the number of reads, first for the header.

    Parameters
    ----------
    file : binary file
        Seekable. It stays open when this object is closed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._reads_left = HEADER_READS
        self._scans_left: int | None = None
        self.seek, self.tell, self.fileno = file.seek, file.tell, file.fileno

    def decode(self, kind: str) -> None:
        """Switch to the limits for reading the pixels of a picture of this format."""
        self._reads_left = BMP_READS if kind == "BMP" else PIXEL_READS
        self._scans_left = MAX_SCANS if kind == "JPEG" else None

    def read(self, size: int = -1) -> bytes:
        """Read as `BinaryIO.read` does.

        Raises
        ------
        PictureError
            ``broken``: too many reads, or too many scans.
        """
        self._reads_left -= 1
        if self._reads_left < 0:
            raise PictureError("broken", "the file is cut into too many small pieces")
        # The file may claim a length of gigabytes, which a file on disk would allocate before reading.
        data = self._file.read(min(size, self._size))
        if self._scans_left is not None:
            self._scans_left -= data.count(_START_OF_SCAN)
            if self._scans_left < 0:
                raise PictureError("broken", f"the JPEG has more than {MAX_SCANS} scans")
        return data


def cap(image: ImageFile.ImageFile, max_pixels: int) -> int:
    """Return how many pixels a picture may have.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened, not decoded.
    max_pixels : int
        The limit for decoders written in C.

    Returns
    -------
    int
        `max_pixels`, or a quarter of it if Pillow decodes in Python, at 0.1 microseconds per pixel.
    """
    slow = any(tile.codec_name in _PYTHON_DECODERS for tile in image.tile)
    return max_pixels // _PYTHON_FACTOR if slow else max_pixels


def load(image: ImageFile.ImageFile) -> None:
    """Decode the first frame of an opened picture.

    The decoders of WebP and AVIF hold two more canvases, up to 320 MB, which Pillow would keep while it
    copies the decoded frame. Here they are released as soon as the frame is decoded.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened, not decoded.
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
        del image.load_prepare  # the cycle would keep the picture's memory until garbage collection
