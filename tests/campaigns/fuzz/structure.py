"""Positions of a picture's blocks and numbers, format by format, as far as they can be followed.

Random bytes are stopped by the first length or checksum; a mutation that knows where a chunk begins, which
four bytes are a width, and how a checksum is made right again comes far deeper. What cannot be followed is
left out: a mutated file is mutated again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

MAX_BLOCKS = 400
MAX_DEPTH = 6
PNG_START = 8


class Block(NamedTuple):
    """A chunk, segment, box or directory entry: the bytes from `start` to before `end`."""

    start: int
    end: int


class Field(NamedTuple):
    """A number of `size` bytes: a length, a count, a side, an offset, a depth."""

    at: int
    size: int
    order: Literal["big", "little"]


Found = Block | Field


def parts(kind: str, data: bytes) -> tuple[list[Block], list[Field]]:
    """Return the blocks and the numbers of a picture, valid or not."""
    found: list[Found] = []
    try:
        for part in _WALKS[kind](data):
            found.append(part)
            if len(found) >= MAX_BLOCKS:
                break
    except (struct.error, IndexError, OverflowError):
        pass  # cut off, or an offset beyond the file: keep what came before
    blocks = [part for part in found if isinstance(part, Block) and part.start < part.end <= len(data)]
    fields = [part for part in found if isinstance(part, Field) and part.at + part.size <= len(data)]
    return blocks, fields


def png_repaired(data: bytes) -> bytes:
    """Recompute the checksums of a PNG's chunks."""
    repaired = bytearray(data)
    for block in parts("PNG", data)[0]:
        struct.pack_into(">I", repaired, block.end - 4, zlib.crc32(repaired[block.start + 4 : block.end - 4]))
    return bytes(repaired)


def _png(data: bytes) -> Iterator[Found]:
    at = PNG_START
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield Field(at, 4, "big")
        if data[at + 4 : at + 8] in (b"IHDR", b"acTL", b"fcTL"):
            yield from (Field(at + 8 + offset, 4, "big") for offset in range(0, length - 3, 4))
            yield from (Field(at + 8 + offset, 1, "big") for offset in range(8, length))
        yield Block(at, at + 12 + length)
        at += 12 + length


def _jpeg(data: bytes) -> Iterator[Found]:
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield Field(at + 1, 1, "big")
        yield Field(at + 2, 2, "big")
        if marker & 0xF0 == 0xC0 or marker in (0xDA, 0xDB, 0xDD):  # frame, tables, scan, restart interval
            yield from (Field(at + offset, 1, "big") for offset in range(4, min(length + 2, 24)))
            yield from (Field(at + offset, 2, "big") for offset in (5, 7))
        if data[at + 4 : at + 8] == b"Exif":
            yield from _tiff(data, at + 10)
        end = at + 2 + length
        if marker == 0xDA:
            while (end := data.find(b"\xff", end)) >= 0 and data[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 2
            end = end if end >= 0 else len(data)
        yield Block(at, end)
        at = end


def _webp(data: bytes, start: int = 12, end: int | None = None, depth: int = 0) -> Iterator[Found]:
    if start == 12:
        yield Field(4, 4, "little")
    at, end = start, len(data) if end is None else end
    while at + 8 <= end and depth < MAX_DEPTH:
        name, length = struct.unpack_from("<4sI", data, at)
        yield Field(at + 4, 4, "little")
        yield from (Field(at + 8 + offset, 3, "little") for offset in range(0, min(length, 24), 3))
        yield from (Field(at + 8 + offset, 2, "little") for offset in (6, 8) if name == b"VP8 ")
        if name == b"ANMF":
            yield from _webp(data, at + 24, at + 8 + length, depth + 1)
        yield Block(at, at + 8 + length + length % 2)
        at += 8 + length + length % 2


def _gif(data: bytes) -> Iterator[Found]:
    yield from (Field(6, 2, "little"), Field(8, 2, "little"), Field(10, 1, "little"))
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while at < len(data) and data[at] in b"!,":
        start = at
        if data[at] == ord(","):
            yield from (Field(at + offset, 2, "little") for offset in (1, 3, 5, 7))
            yield from (Field(at + 9, 1, "little"), Field(at + 10, 1, "little"))
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        else:
            at += 2
        while data[at]:
            yield Field(at, 1, "little")
            at += 1 + data[at]
        at += 1
        yield Block(start, at)


def _bmp(data: bytes) -> Iterator[Found]:
    yield from (Field(at, 4, "little") for at in (2, 10, *range(14, 58, 4)))
    yield from (Field(at, 2, "little") for at in (18, 20, 22, 24, 26, 28))
    (pixels,) = struct.unpack_from("<I", data, 10)
    yield from (Block(14, 54), Block(54, pixels), Block(pixels, len(data)))


def _tiff(data: bytes, start: int = 0) -> Iterator[Found]:
    order: Literal["big", "little"] = "big" if data[start : start + 2] == b"MM" else "little"
    sign = ">" if order == "big" else "<"
    big = data[start + 2 : start + 4] in (b"+\0", b"\0+")
    place, count, entry, value = ("Q", "Q", 20, 12) if big else ("I", "H", 12, 8)
    at = start + struct.unpack_from(sign + place, data, start + (8 if big else 4))[0]
    yield Field(start + (8 if big else 4), struct.calcsize(place), order)
    yield Field(at, struct.calcsize(count), order)
    (entries,) = struct.unpack_from(sign + count, data, at)
    at += struct.calcsize(count)
    for _ in range(min(entries, 60)):
        yield from (Field(at, 2, order), Field(at + 2, 2, order))
        yield from (Field(at + 4, value - 4, order), Field(at + value, value - 4, order))
        yield Block(at, at + entry)
        at += entry


def _boxes(data: bytes, start: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Found]:
    """Walk through ISO base media boxes (HEIF, AVIF)."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end and depth < MAX_DEPTH:
        length, name = struct.unpack_from(">I4s", data, at)
        stop = at + length if length >= 8 else end
        yield Field(at, 4, "big")
        inside = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8}
        if name in inside or name in (b"stbl", b"dinf", b"edts"):
            yield from _boxes(data, at + inside.get(name, 8), min(stop, end), depth + 1)
        elif name != b"mdat":
            yield from (Field(at + 8 + offset, 4, "big") for offset in range(0, min(stop - at - 8, 60), 4))
            yield from (Field(at + 8 + offset, 1, "big") for offset in range(min(stop - at - 8, 30)))
            yield from (Field(at + 8 + offset, 2, "big") for offset in range(0, min(stop - at - 8, 60), 2))
        yield Block(at, stop)
        at = stop


_WALKS: dict[str, Callable[[bytes], Iterator[Found]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "HEIF": _boxes,
    "AVIF": _boxes,
}
