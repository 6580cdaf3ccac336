"""The gate that every picture passes: uploads, files of a gallery, downloads.

Pillow knows formats that run programs or open other files, and a file of a few bytes can claim a hundred
million pixels. So the first bytes decide the format, only that format is tried, the header is read before
anything is decoded and decides whether decoding would take too much memory, only the first frame is decoded,
and every error of a decoder becomes a `PictureError`.

Callers import `model.pictures`. This module imports Pillow, `model.errors`, and the other modules of the
package. `docs/pictures.md` says what is accepted.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from PIL import Image, UnidentifiedImageError

from model.config import HIGHEST_MAX_PIXELS
from model.errors import PictureError
from model.pictures import brands, decoders, jpeg, plugins, png, tiff
from model.pictures.colour import to_rgb
from model.pictures.decoders import MAX_PIXELS
from model.pictures.files import Piece, SplicedFile, size_of
from model.pictures.opened import Opened

DECODING = 2
"""Version of how files become pixels. Part of the fingerprint: features of other pixels are not compared."""

DAMAGED = "damaged"
"""Key in the `info` of a decoded picture whose file is damaged, or cut off at its end."""

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

# Together with the plug-ins that `plugins` imports, this loads those of all formats but HEIC. By default,
# Pillow would load all fifty at the first WebP, which takes 30 ms in each process forked for a search.
Image.preinit()
# Pillow's own limit, half of which makes it warn; pictures are judged here before it sees them.
Image.MAX_IMAGE_PIXELS = 2 * HIGHEST_MAX_PIXELS

REDUCTIONS = (1, 2, 4, 8)
"""JPEG is decoded at these fractions of its size."""

MOST_OF_JPEG = 8
"""A JPEG may have this many times as many pixels as others: the largest cameras have 200 MP."""

_SHARE_OF_KIND = {"HEIF": 1.25}  # telephones with 48 MP write HEIC; measured, it takes less memory than PNG
_BYTES_PER_PIXEL = 16
_PYTHON_FACTOR = 4
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
_BLANK = b"\xef\xbb\xbf\r\n\t \0"
_FOUND_BEHIND_BLANKS = frozenset({"JPEG", "PNG", "GIF", "WEBP"})

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
_UNSUPPORTED = re.compile(r"unsupported|not supported|cannot handle|unknown (pixel mode|data organi)", re.I)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_default_max_pixels = MAX_PIXELS


class PictureInfo(NamedTuple):
    """Format by Pillow's name, and width and height in pixels of the upright picture."""

    format: str
    width: int
    height: int


def limit_pixels(max_pixels: int) -> None:
    """Set how many pixels this process decodes where a caller does not say it.

    Parameters
    ----------
    max_pixels : int
        At most `HIGHEST_MAX_PIXELS`; `MAX_PIXELS` until this is called.

    Raises
    ------
    ValueError
        Less than 1, or more than `HIGHEST_MAX_PIXELS`.
    """
    global _default_max_pixels
    if not 0 < max_pixels <= HIGHEST_MAX_PIXELS:
        raise ValueError(f"max_pixels is {max_pixels}; it must be from 1 to {HIGHEST_MAX_PIXELS}")
    _default_max_pixels = max_pixels


def most_pixels() -> int:
    """Return how many pixels this process decodes where a caller does not say it."""
    return _default_max_pixels


def probe(source: Source, *, max_pixels: int | None = None) -> PictureInfo:
    """Read a picture's format and size from its header, without decoding pixels.

    Parameters
    ----------
    source : path, bytes or binary file
        The picture.
    max_pixels : int, optional
        Pixels that are decoded at most; by default what `limit_pixels` has set. JPEG may have more, since it
        is decoded at a reduced size.

    Returns
    -------
    PictureInfo
        Width and height after applying the EXIF orientation.

    Raises
    ------
    PictureError
        ``empty``, ``unsupported_format``, ``unsupported_kind``, ``too_many_pixels`` or ``broken``.
    OSError
        The file cannot be read: it is missing or forbidden, or the disk fails.
    """
    with _opened(source, max_pixels or _default_max_pixels) as (opened, _):
        turned = opened.orientation >= 5
        width, height = (opened.height, opened.width) if turned else (opened.width, opened.height)
        return PictureInfo(opened.kind, width, height)


def open_rgb(source: Source, *, max_pixels: int | None = None, short_side: int | None = None) -> Image.Image:
    """Decode the first frame of a picture as upright RGB in sRGB.

    Parameters
    ----------
    source : path, bytes or binary file
        The picture.
    max_pixels : int, optional
        As for `probe`. A larger JPEG is decoded at a half, a quarter or an eighth of its size.
    short_side : int, optional
        Pixels of the shorter side that the caller needs. A JPEG may then be decoded at a half, a quarter or
        an eighth of its size, but not smaller than this.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, without metadata, without transparency (`model.pictures.colour`). Its `info` is empty but
        for `DAMAGED`, which is set if the file is damaged, or cut off after three quarters of its rows.

    Raises
    ------
    PictureError
        ``empty``, ``unsupported_format``, ``unsupported_kind``, ``too_many_pixels`` or ``broken``.
    OSError
        The file cannot be read: it is missing or forbidden, or the disk fails.
    """
    limit = max_pixels or _default_max_pixels
    with _opened(source, limit) as (opened, file):
        file.decode(opened.kind)
        image = opened.decode(_reduction(opened, limit, short_side))
        turn = _UPRIGHT.get(opened.orientation)
        profile, damaged = opened.profile, opened.damaged
        del opened  # it may hold the decoder and the file's bytes
        rgb = to_rgb(image, profile)
        del image
        rgb = rgb if turn is None else rgb.transpose(turn)
        if damaged:
            rgb.info[DAMAGED] = True
        return rgb


@contextlib.contextmanager
def _opened(source: Source, max_pixels: int) -> Iterator[tuple[Opened, decoders.BudgetedFile]]:
    """Open a picture and read its header; turn errors of decoders, also inside the block, into our own."""
    with _binary(source) as binary:
        kind, start = _kind(binary)
        whole: BinaryIO = binary
        if start:
            whole = cast(BinaryIO, SplicedFile(binary, Piece(start, size_of(binary))))
        try:
            file = decoders.BudgetedFile(whole)
            if kind in ("HEIF", "AVIF"):
                file = decoders.BudgetedFile(cast(BinaryIO, brands.usual(file, kind)))
            opened = _read(file, kind, max_pixels)
            opened.damaged |= start > 0
            if min(opened.width, opened.height) < 1:
                raise PictureError("broken", f"the {kind} picture has no pixels")
            _reduction(opened, max_pixels, None)
            yield opened, file
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PictureError(
                "too_many_pixels", f"far too many pixels; {plugins.most(max_pixels)}"
            ) from error
        except MemoryError as error:
            raise PictureError(
                "too_many_pixels", f"not enough memory to decode the {kind} picture"
            ) from error
        except _DECODER_ERRORS as error:
            if _is_disk_error(error):
                raise
            raise _refusal(kind, error) from error


def _read(file: decoders.BudgetedFile, kind: str, max_pixels: int) -> Opened:
    if kind == "JPEG":
        return jpeg.read(file)
    if kind == "PNG":
        return png.read(file)
    if kind == "TIFF":
        return tiff.read(file)
    return plugins.read(file, kind, max_pixels)


def _reduction(opened: Opened, max_pixels: int, short_side: int | None) -> int:
    """Return the factor by which a picture is reduced on decoding; refuse one that takes too much memory."""
    width, height = opened.width, opened.height
    pixels = width * height
    if opened.kind != "JPEG":
        cap = int(max_pixels * _SHARE_OF_KIND.get(opened.kind, 1))
        cap //= _PYTHON_FACTOR if opened.decoded_in_python else 1
        if width * height > cap:
            raise _too_many_pixels(opened, cap)
        return 1
    wanted = 1
    if short_side is not None:
        scale = min(width, height) // max(1, short_side)
        wanted = max((each for each in REDUCTIONS if each <= scale), default=1)
    for reduction in REDUCTIONS:
        decoded = -(-pixels // reduction**2)
        memory = pixels * opened.pixel_bytes + 4 * decoded
        fits = decoded <= max_pixels and memory <= _BYTES_PER_PIXEL * max_pixels
        if reduction >= wanted and fits and pixels <= MOST_OF_JPEG * max_pixels:
            return reduction
    raise _too_many_pixels(opened, MOST_OF_JPEG * max_pixels)


def _too_many_pixels(opened: Opened, cap: int) -> PictureError:
    size = f"{opened.width} x {opened.height} pixels"
    if opened.pixel_bytes and opened.width * opened.height <= cap:
        detail = "decoding them would take too much memory; save it as a JPEG that is not progressive"
        return PictureError("too_many_pixels", f"the picture has {size}, and {detail}")
    return PictureError("too_many_pixels", f"the picture claims {size}; {plugins.most(cap)}")


@contextlib.contextmanager
def _binary(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:  # noqa: PTH123 - source may be a str
            yield file
    else:
        yield source


def _kind(file: BinaryIO) -> tuple[str, int]:
    """Return the format by the first bytes, and where it begins; file name and media type are ignored."""
    file.seek(0)
    head = file.read(_HEAD)
    if not head:
        raise PictureError("empty", "the file is empty")
    if kind := _by_magic(head) or brands.kind_of(file):
        return kind, 0
    blank = len(head) - len(head.lstrip(_BLANK))
    kind = _by_magic(head[blank:])
    if kind in _FOUND_BEHIND_BLANKS:
        return kind, blank
    raise PictureError("unsupported_format", f"the file is not one of: {', '.join(FORMATS)}")


def _by_magic(head: bytes) -> str:
    for kind, magic in _MAGIC:
        if head.startswith(magic):
            return kind
    return "WEBP" if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else ""


def _refusal(kind: str, error: BaseException) -> PictureError:
    """Return the reason for a decoder's error; Pillow's "cannot identify" tells nothing."""
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        detail = "its header is invalid"
    if _UNSUPPORTED.search(detail):
        return PictureError("unsupported_kind", f"this kind of {kind} is not supported: {detail}")
    return PictureError("broken", f"the {kind} picture is damaged or cut off: {detail}")


def _is_disk_error(error: BaseException) -> bool:
    """Return whether the disk failed: a decoder's OSError has no errno, or EINVAL for an invalid seek."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
