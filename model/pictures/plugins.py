"""Formats that Pillow's plug-ins read whole: WebP, GIF, BMP, HEIF, AVIF.

`model.pictures.gate` calls `read`. Imports Pillow, pillow-heif with the first HEIC, and the package's own
modules.
"""

from __future__ import annotations

import functools
from typing import BinaryIO, cast

from PIL import (  # noqa: F401 - plug-ins that register themselves
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    WebPImagePlugin,
    _avif,
)
from PIL.AvifImagePlugin import AvifImageFile

from model.errors import PictureError
from model.pictures import decoders
from model.pictures.directories import orientation, upright
from model.pictures.opened import Opened
from model.pictures.profiles import MAX_PROFILE

_PYTHON_DECODERS = frozenset({"bmp_rle"})
_WEBP_HEAD = 30


def read(file: decoders.BudgetedFile, kind: str, max_pixels: int) -> Opened:
    """Open a file with Pillow's plug-in for this format.

    Raises
    ------
    PictureError
        ``too_many_pixels``: a WebP for which the decoder would allocate memory at once.
    """
    if kind == "WEBP":
        _check_webp(file, max_pixels)
    if kind == "HEIF":
        _register_heif()
    image = _open(file, kind)
    turn = image.orientation if isinstance(image, _Avif) else 1
    if kind == "WEBP":
        turn = orientation(image.info.get("exif") or b"")
    opened = Opened(
        kind,
        *image.size,
        lambda reduction: _decode(image, opened),
        turn,
        _profile(image),
        decoded_in_python=any(tile.codec_name in _PYTHON_DECODERS for tile in image.tile),
    )
    return opened


class _Avif(AvifImageFile):
    """Pillow's own reads and writes EXIF, in time and memory without bound, for an orientation."""

    orientation = 1

    def _open(self) -> None:
        if self.fp is None:
            raise OSError("the file is closed")
        self._decoder = _avif.AvifDecoder(self.fp.read(), "auto", 1)
        self._size, self.n_frames, self._mode, icc, _, turn, _ = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        self.orientation = upright(turn)
        if icc:
            self.info["icc_profile"] = icc
        self.seek(0)


def _open(file: decoders.BudgetedFile, kind: str) -> ImageFile.ImageFile:
    file.seek(0)
    if kind == "AVIF":
        return _Avif(cast(BinaryIO, file))
    return Image.open(cast(BinaryIO, file), formats=(kind,))


def _profile(image: ImageFile.ImageFile) -> bytes:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and len(profile) <= MAX_PROFILE else b""


def _decode(image: ImageFile.ImageFile, opened: Opened) -> Image.Image:
    frame = image.tile[0].extents if opened.kind == "GIF" and image.tile else None
    opened.damaged |= decoders.load(image)
    if frame is None or frame == (0, 0, *image.size):
        return image
    # Browsers leave transparent what the first frame does not cover.
    whole = Image.new("RGBA", image.size)
    whole.paste(image.convert("RGBA").crop(frame), frame[:2])
    return whole


def _check_webp(file: decoders.BudgetedFile, max_pixels: int) -> None:
    file.seek(0)
    head = file.read(_WEBP_HEAD).ljust(_WEBP_HEAD, b"\0")
    width = height = 0
    if head[12:16] == b"VP8X":
        width, height = _number(head[24:27]) + 1, _number(head[27:30]) + 1
    elif head[12:16] == b"VP8 ":
        width, height = _number(head[26:28]) & 0x3FFF, _number(head[28:30]) & 0x3FFF
    elif head[12:16] == b"VP8L":
        width, height = (_number(head[21:25]) & 0x3FFF) + 1, (_number(head[21:25]) >> 14 & 0x3FFF) + 1
    if width * height > max_pixels:
        claimed = f"{width} x {height} pixels"
        raise PictureError("too_many_pixels", f"the picture claims {claimed}; {most(max_pixels)}")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def most(pixels: int) -> str:
    """Return the end of a message about too many pixels."""
    return f"at most {pixels:,} are decoded"


@functools.cache
def _register_heif() -> None:
    # Loaded with the first HEIC: it takes 10 MB of libraries that most processes never need.
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
