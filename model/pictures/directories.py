"""Directories of TIFF files and of EXIF blocks, read within bounds.

A directory is a table of tags; a tag of a small file can claim millions of values, which Pillow would turn
into as many Python objects. Here nothing is read but the table, and the values of the few tags that are
asked for, up to the number that the caller allows. Used by `model.pictures.tiff` and by the readers of
formats that carry EXIF. Standard library and the package's own modules.

References
----------
TIFF 6.0, section 2; EXIF 2.32, section 4.6.2.
"""

from __future__ import annotations

import array
import io
import struct
import sys
from typing import NamedTuple

from model.errors import PictureError
from model.pictures.files import Readable

MAX_ENTRIES = 4096
ORIENTATION = 0x0112
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
_EXIF = b"Exif\0\0"


class Entry(NamedTuple):
    """One tag: type and number (`length`) of its values, where they are, and its bytes in the table."""

    kind: int
    length: int
    start: int
    raw: bytes


class Directory:
    """The first directory of a file.

    Parameters
    ----------
    file : binary file
        Seekable, with a TIFF header at its beginning.

    Attributes
    ----------
    order : str
        ``<`` or ``>``, the byte order as in `struct`.
    big : bool
        Whether it is a BigTIFF, with numbers of 8 bytes.
    entries : dict of int to Entry
        Keyed by tag; of a tag that occurs twice, the first.

    Raises
    ------
    PictureError
        ``broken``: the header is damaged, or the table is cut off or has more than `MAX_ENTRIES` entries.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        file.seek(0)
        head = file.read(16)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        if not self.order or len(head) < 8:
            raise PictureError("broken", "the header is damaged or cut off")
        self.big = struct.unpack(self.order + "H", head[2:4])[0] == 43
        self.entries = self._read(self._number(head[8:16] if self.big else head[4:8]))

    def numbers(self, tag: int, most: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, empty if it is missing or of another type.

        Raises
        ------
        PictureError
            ``broken``: the tag has more than `most` values, or they are cut off.
        """
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _CODES:
            return ()
        if entry.length > most:
            raise PictureError(
                "broken", f"tag {tag} has {entry.length:,} values; at most {most:,} make sense"
            )
        self._file.seek(entry.start)
        data = self._file.read(entry.length * _SIZES[entry.kind])
        values = array.array(_CODES[entry.kind])
        if len(data) != entry.length * _SIZES[entry.kind]:
            raise PictureError("broken", f"the values of tag {tag} are cut off")
        values.frombytes(data)
        if (self.order == ">") != (sys.byteorder == "big"):
            values.byteswap()
        return tuple(values)

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a tag that has one; raises like `numbers`."""
        return next(iter(self.numbers(tag, 16)), default)

    def content(self, tag: int, most: int) -> bytes:
        """Return the bytes of a tag; empty if it is missing, has more than `most`, or is cut off."""
        entry = self.entries.get(tag)
        length = entry.length * _SIZES.get(entry.kind, 0) if entry else 0
        if entry is None or length > most:
            return b""
        self._file.seek(entry.start)
        data = self._file.read(length)
        return data if len(data) == length else b""

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self.order == "<" else "big")

    def _read(self, start: int) -> dict[int, Entry]:
        head, width = (8, 20) if self.big else (2, 12)
        if start >= 1 << 62:
            raise PictureError("broken", "the directory is outside the file")
        self._file.seek(start)
        count = self._number(self._file.read(head))
        if not 0 < count <= MAX_ENTRIES:
            raise PictureError("broken", f"the directory has {count:,} entries")
        table = self._file.read(count * width)
        if len(table) < count * width:
            raise PictureError("broken", "the directory is cut off")
        entries: dict[int, Entry] = {}
        for at in range(0, len(table), width):
            raw = table[at : at + width]
            tag, kind = struct.unpack(self.order + "HH", raw[:4])
            half = 4 + (width - 4) // 2
            number, value = self._number(raw[4:half]), raw[half:]
            inside = number * _SIZES.get(kind, 8) <= len(value)
            place = start + head + at + half if inside else self._number(value)
            if place < 1 << 62:
                entries.setdefault(tag, Entry(kind, number, place, raw))
        return entries


def orientation(exif: bytes) -> int:
    """Return the orientation that an EXIF block states, 1 to 8; 1 if it is missing or damaged."""
    while exif.startswith(_EXIF):
        exif = exif[len(_EXIF) :]
    try:
        return upright(Directory(io.BytesIO(exif)).number(ORIENTATION, 1))
    except PictureError:
        return 1


def upright(value: int) -> int:
    """Return an orientation, or 1 for a number that is none."""
    return value if 1 <= value <= 8 else 1
