"""HEIF and AVIF: which of the two a file is, whatever brand it names.

Both are boxes of one file format, and say by a brand what is inside. Cameras and converters write brands that
the decoders do not list, so the items of the file decide where the brand does not. Standard library and the
package's own modules.

References
----------
ISO/IEC 14496-12, section 4.3; ISO/IEC 23008-12.
"""

from __future__ import annotations

from typing import BinaryIO

from model.pictures.decoders import BudgetedFile
from model.pictures.files import Piece, SplicedFile

_AVIF = frozenset({b"avif", b"avis"})
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_GENERAL = frozenset({b"mif1", b"msf1"})
_MOST_BRANDS = 1 << 12
_SEARCHED = 1 << 16
_ITEM_KINDS = ((b"av01", "AVIF"), (b"hvc1", "HEIF"), (b"hev1", "HEIF"))


def kind_of(file: BinaryIO) -> str:
    """Return ``HEIF``, ``AVIF``, or an empty string for other files; the position changes."""
    file.seek(0)
    head = file.read(_SEARCHED)
    if head[4:8] != b"ftyp":
        return ""
    brands = _brands(head)
    if brands & _AVIF:
        return "AVIF"
    if brands & _HEIF:
        return "HEIF"
    return _by_items(head) or ("HEIF" if brands & _GENERAL else "")


def usual(file: BudgetedFile, kind: str) -> BudgetedFile | SplicedFile:
    """Return the file with a brand that decoders know, if its own is unusual."""
    file.seek(0)
    head = file.read(_MOST_BRANDS)
    brands = _brands(head)
    file.seek(0)
    if brands & (_AVIF if kind == "AVIF" else _HEIF | _GENERAL):
        return file
    brand = b"avif" if kind == "AVIF" else b"heic"
    # libheif looks among the compatible brands, which follow the brand and its version.
    compatible = brand if int.from_bytes(head[:4], "big") >= 20 else b""
    rest = 16 + len(compatible)
    return SplicedFile(file, Piece(0, 8), brand, Piece(12, 16), compatible, Piece(rest, file.size))


def _brands(head: bytes) -> set[bytes]:
    box = head[8 : min(int.from_bytes(head[:4], "big"), _MOST_BRANDS)]
    return {box[:4], *(box[at : at + 4] for at in range(8, len(box) - 3, 4))}


def _by_items(head: bytes) -> str:
    """Return the format by the items that a ``meta`` box behind the brands lists; a film has none."""
    start = int.from_bytes(head[:4], "big")
    if head[start + 4 : start + 8] != b"meta":
        return ""
    box = head[start : start + int.from_bytes(head[start : start + 4], "big")]
    if b"pitm" not in box:
        return ""
    return next((kind for item, kind in _ITEM_KINDS if item in box), "")
