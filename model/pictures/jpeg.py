"""JPEG: the header read by own code, the pixels by libjpeg.

Pillow would join EXIF segments one by one, and look for a resolution in them, which costs seconds and
gigabytes for a crafted file. Here a segment is read only if decoding, the orientation or the colour profile
needs it, and libjpeg sees nothing else. Imports Pillow and the package's own modules.

References
----------
ITU-T T.81, annex B; ICC.1:2022, annex B.4.
"""

from __future__ import annotations

from typing import BinaryIO, cast

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from model.errors import PictureError
from model.pictures import decoders
from model.pictures.directories import orientation
from model.pictures.files import Piece, SplicedFile
from model.pictures.opened import Opened
from model.pictures.profiles import MAX_PROFILE

_MAX_TABLES = 1 << 20
_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_WITHOUT_LENGTH = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL, _PROGRESSIVE = frozenset({0xC0, 0xC1, 0xC9}), frozenset({0xC2, 0xCA})
_MISSING = (127, 128)
"""libjpeg paints what is missing mid-grey; ink is inverted."""


def read(file: decoders.BudgetedFile) -> Opened:
    """Read the header of a JPEG file.

    Raises
    ------
    PictureError
        ``broken``, or ``unsupported_kind``: not 8 bits per sample, or a process that libjpeg lacks.
    """
    header = _Header(file)
    opened = Opened(
        "JPEG",
        header.width,
        header.height,
        lambda reduction: _decode(file, header, opened, reduction),
        orientation(header.exif),
        header.joined_profile(),
        header.damaged,
        header.coefficient_bytes,
    )
    return opened


class _Header:
    """The segments before the first scan."""

    def __init__(self, file: decoders.BudgetedFile) -> None:
        self._file = file
        self.exif = b""
        self.adobe = self.damaged = False
        self.process = self.width = self.height = 0
        self.sampling: list[int] = []
        self.tables = bytearray(_SOI)
        self._profile: dict[int, bytes] = {}
        self._profile_parts = 0
        file.seek(2)
        while (marker := self._marker()) != _SOS:
            if marker == _EOI[1]:
                raise PictureError("broken", "the JPEG has no pixels")
            if marker not in _WITHOUT_LENGTH:
                self._segment(marker)
        self.scan = file.tell() - 2
        self._check(first_scan=file.read(3))

    @property
    def coefficient_bytes(self) -> float:
        """Memory per pixel for coefficients, which libjpeg keeps if there are several scans."""
        if not self._several_scans:
            return 0
        return 2 * sum((each >> 4) * (each & 15) for each in self.sampling) / self._largest_block

    @property
    def _largest_block(self) -> int:
        return max(each >> 4 for each in self.sampling) * max(each & 15 for each in self.sampling)

    def joined_profile(self) -> bytes:
        parts = [self._profile.get(number, b"") for number in range(1, self._profile_parts + 1)]
        return b"".join(parts) if all(parts) else b""

    def _marker(self) -> int:
        """Return the next marker; bytes that belong to none are skipped, as libjpeg skips them."""
        while True:
            byte = self._byte()
            if byte != 0xFF:
                self.damaged = True
                continue
            while byte == 0xFF:
                byte = self._byte()
            if byte:
                return byte

    def _byte(self) -> int:
        data = self._file.read(1)
        if not data:
            raise PictureError("broken", "the JPEG picture is cut off before its pixels")
        return data[0]

    def _segment(self, marker: int) -> None:
        length = self._byte() << 8 | self._byte()
        end = self._file.tell() + length - 2
        if length < 2:
            raise PictureError("broken", "the JPEG picture is damaged: a segment has no length")
        if marker in _FRAMES or marker in _TABLES or marker in (0xE0, 0xE1, 0xE2, 0xEE):
            self._keep(marker, self._file.read(length - 2))
        self._file.seek(end)

    def _keep(self, marker: int, data: bytes) -> None:
        if marker in _FRAMES and not self.process:
            self._frame(marker, data)
        if marker == 0xE1 and data.startswith(b"Exif\0\0"):
            self.exif = self.exif or data
        elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
            known = sum(map(len, self._profile.values()))
            if known + len(data) <= MAX_PROFILE:
                self._profile[data[12]], self._profile_parts = data[14:], data[13]
        if marker == 0xEE and data.startswith(b"Adobe"):
            self.adobe = True
        elif marker in (0xE1, 0xE2, 0xEE) or (marker == 0xE0 and not data.startswith(b"JFIF")):
            return
        self.tables += bytes((0xFF, marker)) + (len(data) + 2).to_bytes(2, "big") + data
        if len(self.tables) > _MAX_TABLES:
            raise PictureError("broken", "the JPEG has too many tables")

    def _frame(self, marker: int, data: bytes) -> None:
        if len(data) < 6 or len(data) < 6 + 3 * data[5]:
            raise PictureError("broken", "the JPEG picture is damaged: its frame header is cut off")
        self.process, self.sampling = marker, [data[7 + 3 * at] for at in range(data[5])]
        self.height, self.width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
        self._bits = data[0]

    def _check(self, first_scan: bytes) -> None:
        if not self.process or len(first_scan) < 3:
            raise PictureError("broken", "the JPEG picture is damaged: its size is missing")
        if self._bits != 8 or self.process not in _SEQUENTIAL | _PROGRESSIVE:
            process = f"process {self.process - 0xC0}, {self._bits} bits per sample"
            raise PictureError("unsupported_kind", f"this kind of JPEG is not supported: {process}")
        if len(self.sampling) not in (1, 3, 4) or not self.height:
            detail = f"{len(self.sampling)} colour components, height {self.height}"
            raise PictureError("unsupported_kind", f"this kind of JPEG is not supported: {detail}")
        if any(not 0 < part <= 4 for each in self.sampling for part in (each >> 4, each & 15)):
            raise PictureError("broken", "the JPEG picture is damaged: its sampling factors are invalid")
        self._several_scans = self.process in _PROGRESSIVE or first_scan[2] < len(self.sampling)


class _Scans(SplicedFile):
    """The file for libjpeg: counts scans, and notices whether the end marker is there."""

    def __init__(self, file: decoders.BudgetedFile, tables: bytes, scan: int, most: int) -> None:
        # With an end marker behind what there is, libjpeg paints what is missing instead of waiting for it.
        super().__init__(file, tables, Piece(scan, file.size), _EOI)
        self._left = most
        self._most = most
        self._last = b""
        self.complete = False

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        joined = self._last + data
        self._left -= joined.count(b"\xff\xda")
        if self._left < 0:
            raise PictureError("broken", f"the JPEG has more than {self._most} scans")
        end = joined.find(_EOI)
        self.complete = self.complete or (
            end >= 0 and self.tell() - len(joined) + end < self.size - len(_EOI)
        )
        self._last = data[-1:]
        return data


def _decode(file: decoders.BudgetedFile, header: _Header, opened: Opened, reduction: int) -> Image.Image:
    scans = _Scans(file, bytes(header.tables), header.scan, decoders.most_scans(header.width * header.height))
    image = JpegImageFile(cast(BinaryIO, scans))
    if image.mode == "CMYK" and not header.adobe:
        # Only Adobe stores ink inverted, which Pillow takes for granted.
        image.tile = [image.tile[0]._replace(args=("CMYK", ""))]
    if reduction > 1:
        image.draft(None, (max(1, image.width // reduction), max(1, image.height // reduction)))
    opened.damaged |= decoders.load(image, missing=(0, *_MISSING))
    if not scans.complete and scans.tell() >= scans.size:
        opened.damaged = True
        decoders.require_most(image, _MISSING)
    return image
