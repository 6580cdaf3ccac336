"""Kinds of pictures that Pillow reads but does not write."""

from __future__ import annotations

import struct
import zlib
from itertools import groupby

from PIL import Image

from tests.support.pictures import png

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png_interlaced(image: Image.Image) -> bytes:
    """Encode an RGB picture as an interlaced PNG: seven passes, each a small picture (PNG, section 8)."""
    width, height = image.size
    rows = []
    plain = image.tobytes()
    for left, top, across, down in _ADAM7:
        for y in range(top, height, down):
            starts = range((y * width + left) * 3, (y + 1) * width * 3, across * 3)
            rows.append(b"\0" + b"".join(plain[start : start + 3] for start in starts))
    return png(width, height, b"".join(rows), interlaced=True)


def bmp_rle(image: Image.Image) -> bytes:
    """Encode a picture of mode P as a run-length encoded BMP (BI_RLE8)."""
    width, height = image.size
    body, plain = b"", image.tobytes()
    for y in reversed(range(height)):
        for colour, run in groupby(plain[y * width : (y + 1) * width]):
            body += bytes([len(list(run)), colour])
        body += b"\0\0"
    body += b"\0\1"
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    return _bmp(header + palette, body)


def bmp_core(image: Image.Image) -> bytes:
    """Encode an RGB picture as a BMP with the 12-byte header of OS/2."""
    width, height = image.size
    rows = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGR", (width * 3 + 3) & ~3)
    return _bmp(struct.pack("<IHHHH", 12, width, height, 1, 24), rows)


def bmp_16(image: Image.Image) -> bytes:
    """Encode an RGB picture as a BMP of 16 bits a pixel, 5, 6 and 5 of them (BI_BITFIELDS)."""
    width, height = image.size
    plain, rows = image.tobytes(), b""
    for y in reversed(range(height)):
        line = plain[y * width * 3 : (y + 1) * width * 3]
        parts = zip(line[::3], line[1::3], line[2::3], strict=True)
        packed = struct.pack(f"<{width}H", *((r >> 3) << 11 | (g >> 2) << 5 | b >> 3 for r, g, b in parts))
        rows += packed + bytes(-len(packed) % 4)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, len(rows), 0, 0, 0, 0)
    return _bmp(header + struct.pack("<III", 0xF800, 0x07E0, 0x001F), rows)


def tiff_tiled(image: Image.Image, side: int = 16) -> bytes:
    """Encode an RGB picture as a TIFF of deflated tiles (TIFF 6.0, section 15)."""
    width, height = image.size
    corners = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
    tiles = [zlib.compress(image.crop((x, y, x + side, y + side)).tobytes()) for x, y in corners]
    offsets = [8 + sum(map(len, tiles[:number])) for number in range(len(tiles))]
    end = 8 + sum(map(len, tiles))
    arrays = struct.pack(f"<3H{2 * len(tiles)}I", 8, 8, 8, *offsets, *map(len, tiles))
    entries = [
        *((256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, end), (259, 3, 1, 8), (262, 3, 1, 2)),
        *((277, 3, 1, 3), (322, 3, 1, side), (323, 3, 1, side)),
        *((324, 4, len(tiles), end + 6), (325, 4, len(tiles), end + 6 + 4 * len(tiles))),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", end + len(arrays)) + b"".join(tiles) + arrays + directory + bytes(4)


def _bmp(header: bytes, body: bytes) -> bytes:
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + body
