"""PNG: the chunks read by own code, the pixels by Pillow.

Pillow refuses a picture for a wrong checksum in a text, unpacks texts that nobody asks for, and reads the
orientation differently before and after decoding. Here all chunks are visited once, in the same way for the
header and for the pixels, and Pillow gets a file without anything but pixels and palette.

References
----------
W3C, Portable Network Graphics (PNG) Specification (Third Edition).
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, cast

from PIL import Image
from PIL.PngImagePlugin import MAX_TEXT_CHUNK, MAX_TEXT_MEMORY, PngImageFile

from model.errors import PictureError
from model.pictures import decoders
from model.pictures.directories import orientation
from model.pictures.files import Piece, SplicedFile
from model.pictures.opened import Opened
from model.pictures.profiles import MAX_PROFILE

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MOST_READ = 1 << 24
_BLOCK = 1 << 20
_GREY, _COLOUR, _PALETTE = 0, 2, 3
_SCALE = {1: 255, 2: 85, 4: 17}


def read(file: decoders.BudgetedFile) -> Opened:
    """Read all chunks of a PNG file but those with pixels.

    Raises
    ------
    PictureError
        ``broken``: the header is damaged, there are no pixels, or a text or profile unpacks to far more than
        any encoder writes.
    """
    chunks = _Chunks(file)
    opened = Opened(
        "PNG",
        chunks.width,
        chunks.height,
        lambda reduction: _decode(file, chunks, opened),
        orientation(chunks.kept.get(b"eXIf", b"")),
        chunks.profile,
        chunks.damaged,
    )
    return opened


class _Chunks:
    """The chunks of a file: what is needed of them, and where the pixels are."""

    def __init__(self, file: decoders.BudgetedFile) -> None:
        self._file = file
        self.damaged = False
        self.profile = b""
        self.kept: dict[bytes, bytes] = {}
        self.pixels: list[Piece] = []  # of the chunks' data
        self._text = 0
        file.seek(len(_SIGNATURE))
        self._header()
        while self._chunk():
            pass
        if not self.pixels or (self.colour == _PALETTE and b"PLTE" not in self.kept):
            raise PictureError("broken", "the PNG picture is cut off before its pixels")

    def _header(self) -> None:
        data = self._file.read(25)
        if len(data) < 25 or data[:8] != b"\0\0\0\x0dIHDR":
            raise PictureError("broken", "the PNG picture is damaged: its header is invalid")
        self.width, self.height, self.depth, self.colour, packing, filters, interlaced = struct.unpack(
            ">IIBBBBB", data[8:21]
        )
        checked = zlib.crc32(data[4:21]) == int.from_bytes(data[21:], "big")
        known = self.depth in _DEPTHS.get(self.colour, ()) and not packing and not filters and interlaced < 2
        if not checked or not known:
            raise PictureError("broken", "the PNG picture is damaged: its header is invalid")
        self.header = data

    def _chunk(self) -> bool:
        """Read one chunk; return whether another may follow."""
        head = self._file.read(8)
        kind, length = head[4:], int.from_bytes(head[:4], "big")
        if len(head) < 8 or not kind.isalnum() or kind == b"IEND":
            self.damaged |= kind != b"IEND"
            return False
        start = self._file.tell()
        if kind == b"IDAT":
            last = self.pixels[-1] if self.pixels else None
            if last is None or last.end + 12 == start:  # only the first run counts
                self.pixels.append(Piece(start, min(start + length, self._file.size)))
        else:
            self._other(kind, length)
        self._file.seek(start + length + 4)
        return True

    def _other(self, kind: bytes, length: int) -> None:
        """Read a chunk that is not pixels. One with a wrong checksum does not count, as in browsers."""
        if length > _MOST_READ or kind not in (b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"zTXt", b"iTXt", b"tEXt"):
            return
        data, checksum = self._file.read(length), self._file.read(4)
        wrong = zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big")
        if wrong or len(checksum) < 4:
            self.damaged = True
            if kind not in (b"PLTE", b"tRNS"):
                return
        if kind == b"iCCP":
            self.profile = self._unpacked(data.partition(b"\0")[2][1:], MAX_PROFILE)
        elif kind in (b"zTXt", b"iTXt"):
            self._weigh(kind, data)
        elif kind != b"tEXt":
            self.kept.setdefault(kind, data)

    def _weigh(self, kind: bytes, data: bytes) -> None:
        """Refuse a picture that unpacks to megabytes of text wherever it is opened."""
        rest = data.partition(b"\0")[2]
        packed = rest[1:] if kind == b"zTXt" else b""
        if kind == b"iTXt" and rest[:1] == b"\1":
            packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        self._text += len(self._unpacked(packed, MAX_TEXT_CHUNK))
        if self._text > MAX_TEXT_MEMORY:
            raise PictureError("broken", "the PNG has more text than any encoder writes")

    def _unpacked(self, data: bytes, most: int) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            unpacked = unpacker.decompress(data, most)
        except zlib.error:
            self.damaged |= bool(data)
            return b""
        if unpacker.unconsumed_tail:
            raise PictureError("broken", f"the PNG has a text or profile of more than {most >> 20} MiB")
        return unpacked

    def clean(self) -> SplicedFile:
        """Return the file without metadata; the transparent colour of a palette alone is Pillow's part."""
        parts: list[bytes | Piece] = [_SIGNATURE, self.header]
        for kind in (b"PLTE", b"tRNS") if self.colour == _PALETTE else ():
            if kind in self.kept:
                data = self.kept[kind]
                checksum = zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")
                parts.append(len(data).to_bytes(4, "big") + kind + data + checksum)
        first, last = self.pixels[0], self.pixels[-1]
        end = min(last.end + 4, self._file.size)
        whole = end == last.end + 4
        parts.append(Piece(first.start - 8, end))
        if whole:
            parts.append(b"\0\0\0\0IEND\xae\x42\x60\x82")
        return SplicedFile(self._file, *parts)

    def transparent(self) -> int | tuple[int, ...] | None:
        """Return the transparent colour of a picture without palette, as Pillow scales its samples."""
        data = self.kept.get(b"tRNS", b"")
        values = struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])
        if self.colour == _GREY and values:
            return int(values[0]) * _SCALE.get(self.depth, 1)
        if self.colour == _COLOUR and len(values) >= 3:
            return tuple(int(value) >> (8 if self.depth == 16 else 0) for value in values[:3])
        return None

    def pixels_differ(self) -> bool:
        """Return whether a checksum of the pixels is wrong or missing."""
        for start, end in self.pixels:
            checksum, at = zlib.crc32(b"IDAT"), start
            self._file.seek(start)
            while at < end:
                data = self._file.read(min(_BLOCK, end - at))
                checksum, at = zlib.crc32(data, checksum), at + (len(data) or end)
            if self._file.read(4) != checksum.to_bytes(4, "big"):
                return True
        return False


def _decode(file: decoders.BudgetedFile, chunks: _Chunks, opened: Opened) -> Image.Image:
    image = PngImageFile(cast(BinaryIO, chunks.clean()))
    opened.damaged |= decoders.load(image)
    opened.damaged = opened.damaged or chunks.pixels_differ()
    key = chunks.transparent()
    if key is not None:
        image.info["transparency"] = key
    return image
