"""The gate that every picture passes: uploads, files of a gallery, downloads.

Pillow knows formats that run programs or open other files, and a file of a few bytes can claim a hundred
million pixels. So the first bytes decide the format, only that format is tried, the size is read from the
header before anything is decoded, only the first frame is decoded, and every error of a decoder becomes a
`PictureError`.

Callers import `model.pictures`. This module imports Pillow, `model.errors`, and the other modules of the
package.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from PIL import (  # noqa: F401 - plug-ins that register themselves
    AvifImagePlugin,
    Image,
    ImageFile,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from model.errors import PictureError
from model.pictures import decoders
from model.pictures.colour import to_rgb

MAX_PIXELS = 40_000_000
"""Pixels that a picture may have: a photograph of a 40 MP camera is accepted, 160 MB when decoded."""

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "HEIF": "image/heic",
    "AVIF": "image/avif",
}
"""Media type of each accepted format."""

FORMATS = tuple(MEDIA_TYPES)
"""The accepted formats, by Pillow's names."""

BROWSER_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "AVIF"})
"""The accepted formats that all current browsers display."""

Source = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes of the file, or a seekable binary file, which stays open."""

# Together with the plug-ins imported above, this loads those of all formats but HEIC. By default, Pillow
# would load all fifty at the first WebP, which takes 30 ms in each process that is forked for a search.
Image.preinit()

_HEAD = 64
_MAGIC = (
    ("JPEG", b"\xff\xd8\xff"),
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("GIF", b"GIF87a"),
    ("GIF", b"GIF89a"),
    ("BMP", b"BM"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("TIFF", b"II+\0"),
    ("TIFF", b"MM\0+"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

# Malicious files make Pillow's decoders fail in all of these ways, on purpose or by oversight.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureInfo(NamedTuple):
    """Format by Pillow's name, and width and height in pixels of the upright picture."""

    format: str
    width: int
    height: int


def probe(source: Source, *, max_pixels: int = MAX_PIXELS) -> PictureInfo:
    """Read a picture's format and size from its header, without decoding pixels.

    Parameters
    ----------
    source : path, bytes or binary file
        The picture.
    max_pixels : int
        Width times height, at most.

    Returns
    -------
    PictureInfo
        Width and height after applying the EXIF orientation.

    Raises
    ------
    PictureError
        ``empty``, ``unsupported_format``, ``too_many_pixels`` or ``broken``.
    OSError
        The file cannot be read: it is missing or forbidden, or the disk fails.
    """
    with _header(source, max_pixels) as (image, kind):
        width, height = image.size
        # Pillow's TIFF reader swaps the sides by itself.
        if kind != "TIFF" and _orientation(image) >= 5:
            width, height = height, width
        return PictureInfo(kind, width, height)


def open_rgb(source: Source, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Image.Image:
    """Decode the first frame of a picture as upright RGB on white.

    Parameters
    ----------
    source : path, bytes or binary file
        The picture.
    max_pixels : int
        Width times height, at most.
    short_side : int, optional
        Pixels of the shorter side that the caller needs. A JPEG may then be decoded at a half, a quarter or
        an eighth of its size, but not smaller than this.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, without metadata, transparency on white (`model.pictures.colour`).

    Raises
    ------
    PictureError
        ``empty``, ``unsupported_format``, ``too_many_pixels`` or ``broken``; a truncated picture is broken.
    OSError
        The file cannot be read: it is missing or forbidden, or the disk fails.
    """
    with _header(source, max_pixels) as (image, kind):
        if short_side is not None and kind == "JPEG":
            image.draft(None, (short_side, short_side))
        decoders.load(image)
        turn = _UPRIGHT.get(_orientation(image))
        rgb = to_rgb(image)
        return rgb if turn is None else rgb.transpose(turn)


@contextlib.contextmanager
def _header(source: Source, max_pixels: int) -> Iterator[tuple[ImageFile.ImageFile, str]]:
    """Open a picture and read its header; turn errors of decoders, also inside the block, into our own."""
    with _binary(source) as file:
        kind = _kind(file)
        budgeted = decoders.BudgetedFile(file)
        try:
            with Image.open(cast(BinaryIO, budgeted), formats=(kind,)) as image:
                (width, height), cap = image.size, decoders.cap(image, max_pixels)
                if width * height > cap:
                    raise _too_many_pixels(f"{width} x {height} pixels", cap)
                if min(width, height) < 1:
                    raise PictureError("broken", f"the {kind} picture has no pixels")
                budgeted.decode(kind)
                yield image, kind
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_many_pixels("far more pixels", max_pixels) from error
        except MemoryError as error:
            raise PictureError(
                "too_many_pixels", f"not enough memory to decode the {kind} picture"
            ) from error
        except _DECODER_ERRORS as error:
            if _is_disk_error(error):
                raise
            raise PictureError(
                "broken", f"the {kind} picture is damaged or cut off: {_detail(error)}"
            ) from error


@contextlib.contextmanager
def _binary(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:  # noqa: PTH123 - source may be a str
            yield file
    else:
        yield source


def _kind(file: BinaryIO) -> str:
    """Return the format by the first bytes; file name and media type are ignored."""
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        raise PictureError("empty", "the file is empty")
    for kind, magic in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        box = head[8 : int.from_bytes(head[:4], "big")]
        brands = {box[:4], *(box[at : at + 4] for at in range(8, len(box), 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            _register_heif()
            return "HEIF"
    raise PictureError("unsupported_format", f"the file is not one of: {', '.join(FORMATS)}")


@functools.cache
def _register_heif() -> None:
    # Loaded with the first HEIC: it takes 10 MB of libraries that most processes never need.
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _too_many_pixels(found: str, max_pixels: int) -> PictureError:
    return PictureError("too_many_pixels", f"the picture claims {found}; at most {max_pixels:,} are decoded")


def _detail(error: BaseException) -> str:
    """Return the decoder's message in one short line; Pillow's "cannot identify" tells nothing."""
    if isinstance(error, UnidentifiedImageError):
        return "its header is invalid"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_disk_error(error: BaseException) -> bool:
    """Return whether the disk failed: a decoder's OSError has no errno, or EINVAL for an invalid seek."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is missing or damaged."""
    try:
        # The getexif of PNG would first decode the whole picture.
        value = Image.Image.getexif(image).get(0x0112, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
