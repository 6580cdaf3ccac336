"""The one gate that every picture passes: uploads, gallery files, downloads.

Pillow understands formats that run programs or open other files, and a few bytes can claim a hundred
million pixels. So a picture is told by its first bytes, only the format found is tried, the size is read from
the header before anything is decoded, only the first frame is ever looked at, and whatever a decoder raises
leaves here as a `PictureError`.
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
"""Pixels a picture may have by its header: a 40 MP camera's photograph passes, 160 MB decoded."""

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
"""Media type of each format that is let in."""

FORMATS = tuple(MEDIA_TYPES)
"""The formats that are let in, by Pillow's names."""

BROWSER_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "AVIF"})
"""The formats among them that every current browser shows."""

Source = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or a seekable binary file (which stays open)."""

# With those imported above these are the plug-ins of all formats but HEIC. Left to itself, Pillow would load
# fifty of them at the first WebP, which takes 30 ms in each process that is forked for a search.
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

# Hostile files make Pillow's decoders fail in all of these ways, by design or by oversight.
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
    """What the header tells: format by Pillow's name, width and height in pixels as seen upright."""

    format: str
    width: int
    height: int


def probe(source: Source, *, max_pixels: int = MAX_PIXELS) -> PictureInfo:
    """Read a picture's format and size from its header; no pixel is decoded.

    Parameters
    ----------
    source : path, bytes or binary file
        The picture.
    max_pixels : int
        Width times height that is still let in.

    Returns
    -------
    PictureInfo
        Width and height are those after the EXIF orientation.

    Raises
    ------
    PictureError
        ``empty``, ``unsupported_format``, ``too_many_pixels`` or ``broken``.
    OSError
        The file itself cannot be read: missing, forbidden, a failing disk.
    """
    with _header(source, max_pixels) as (image, kind):
        width, height = image.size
        # Pillow's TIFF reader swaps the sides by itself.
        if kind != "TIFF" and _orientation(image) >= 5:
            width, height = height, width
        return PictureInfo(kind, width, height)


def open_rgb(source: Source, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Image.Image:
    """Decode the first frame of a picture, upright, on white, in RGB.

    Parameters
    ----------
    source : path, bytes or binary file
        The picture.
    max_pixels : int
        Width times height, by the header, that is still decoded.
    short_side : int, optional
        The caller will shrink to this length of the shorter side. JPEG may then be decoded at a half, a
        quarter or an eighth of its size, never smaller than asked for.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, without any metadata; transparency laid on white (`model.pictures.colour`).

    Raises
    ------
    PictureError
        ``empty``, ``unsupported_format``, ``too_many_pixels`` or ``broken`` (a truncated picture is broken).
    OSError
        The file itself cannot be read: missing, forbidden, a failing disk.
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
    """Open a picture as far as its header; every error of the decoders, now or later, becomes our own."""
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
        with open(source, "rb") as file:  # noqa: PTH123 - a str need not become a Path first
            yield file
    else:
        yield source


def _kind(file: BinaryIO) -> str:
    """Tell the format by the first bytes; the name and the sender's media type are never asked."""
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
    raise PictureError("unsupported_format", f"the file is none of: {', '.join(FORMATS)}")


@functools.cache
def _register_heif() -> None:
    # Loaded when the first HEIC comes: it brings 10 MB of libraries that most processes never need.
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _too_many_pixels(found: str, max_pixels: int) -> PictureError:
    return PictureError("too_many_pixels", f"the picture claims {found}; at most {max_pixels:,} are decoded")


def _detail(error: BaseException) -> str:
    """Say in one short line what the decoder said; Pillow's "cannot identify" names only a file object."""
    if isinstance(error, UnidentifiedImageError):
        return "its header makes no sense"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_disk_error(error: BaseException) -> bool:
    """Tell a failing disk from a decoder's own OSError (no errno) and from a senseless seek (EINVAL)."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or where the EXIF block is damaged."""
    try:
        # PNG's own getexif would decode the whole picture first.
        value = Image.Image.getexif(image).get(0x0112, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
