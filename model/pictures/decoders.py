"""Limits on the time and memory that Pillow's decoders take, and what is left of a damaged picture.

Pillow reads headers, and the pixels of a few formats, piece by piece in Python. A file of twenty megabytes
can be cut into millions of pieces, and so keep Pillow busy for seconds over a single pixel; a progressive
JPEG can draw the same pixels in a hundred thousand scans. The limits are counts, not seconds, so that a file
that one machine accepts is accepted by all.

The readers of all formats call this. Imports Pillow and the package's own modules.
"""

from __future__ import annotations

import errno
from typing import BinaryIO

from PIL import Image, ImageFile

from model.errors import PictureError
from model.pictures.files import size_of

MAX_PIXELS = 40_000_000
"""Pixels that are decoded at most: a photograph of a 40 MP camera, 160 MB when decoded."""

HEADER_READS = 100_000
"""A camera's JPEG takes about 100 reads before its pixels, a GIF with XMP about 10,000."""

PIXEL_READS = 1_000_000
"""PNG takes four reads per chunk, usually of 8 KB; all other formats except BMP take far fewer."""

BMP_READS = 4_000_000
"""Run-length encoded BMP takes one quick read per byte."""

MAX_SCANS = 500
"""Encoders write about 10 scans. Each takes 2 to 3 ms at 40 million pixels, even if it is empty."""

_ENOUGH = (0.25, 0.75)
"""Where a damaged picture must have pixels: with less of it, search would find other pictures."""


class BudgetedFile:
    """A binary file for Pillow's plug-ins that limits the number of reads, first for the header.

    Parameters
    ----------
    file : binary file
        Seekable. It stays open when this object is closed.

    Attributes
    ----------
    size : int
        Length in bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = size_of(file)
        self._reads_left = HEADER_READS
        self.seek, self.tell = file.seek, file.tell

    def decode(self, kind: str) -> None:
        """Switch to the limits for reading the pixels of a picture of this format."""
        self._reads_left = BMP_READS if kind == "BMP" else PIXEL_READS

    def read(self, size: int = -1) -> bytes:
        """Read as `BinaryIO.read` does.

        Raises
        ------
        PictureError
            ``broken``: too many reads.
        """
        self._reads_left -= 1
        if self._reads_left < 0:
            raise PictureError("broken", "the file is cut into too many small pieces")
        # The file may claim a length of gigabytes, which a file on disk would allocate before reading.
        return self._file.read(min(size, self.size))


def most_scans(pixels: int) -> int:
    """Return how many scans a JPEG of this size may have."""
    return max(20, MAX_SCANS * MAX_PIXELS // max(MAX_PIXELS, pixels))


def load(image: ImageFile.ImageFile, missing: tuple[int, ...] = (0,)) -> bool:
    """Decode the first frame of an opened picture, or what there is of it.

    The decoders of WebP and AVIF hold two more canvases, up to 320 MB, which Pillow would keep while it
    copies the decoded frame. Here they are released as soon as the frame is decoded.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened, not decoded.
    missing : tuple of int
        Values of samples that the decoder has left undecoded.

    Returns
    -------
    bool
        Whether the file is damaged or cut off and yet most of its pixels are there.

    Raises
    ------
    PictureError
        ``broken``: too few pixels are there.
    """
    try:
        _load(image)
    except (OSError, EOFError) as error:
        if image._im is None or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        image.tile = []  # from now on Pillow takes the picture as decoded
        require_most(image, missing)
        return True
    return False


def require_most(image: Image.Image, missing: tuple[int, ...]) -> None:
    """Refuse a damaged picture of which too little was decoded.

    Raises
    ------
    PictureError
        ``broken``: the row at a quarter or at three quarters of the height holds only `missing`.
    """
    for share in _ENOUGH:  # BMP begins with the lowest row
        top = min(int(image.height * share) | 1, image.height - 1)  # interlaced pictures end with odd rows
        row = image.crop((0, top, image.width, top + 1))
        if all(value in missing for band in row.split() for value in band.getextrema()):
            message = "the picture is damaged or cut off: more than a quarter of it is missing"
            raise PictureError("broken", message)


def _load(image: ImageFile.ImageFile) -> None:
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
