"""TIFF files of every layout, written byte by byte: sample type, byte order, planes, strips or tiles."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INK, LAB = 0, 1, 2, 3, 5, 8
_FORMATS = {"u": 1, "i": 2, "f": 3}
_ROWS = 16


def tiff(
    samples: NDArray[Any],
    meaning: int,
    *,
    order: str = "<",
    planes: bool = False,
    packed: bool = False,
    tile: int = 0,
    extras: Sequence[int] = (),
    more: Iterable[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """Encode samples, shape (H, W, S), as a TIFF file.

    `meaning` is the photometric interpretation; `order` is ``<`` or ``>``; `more` has further tags, each with
    type 3 or 4 and values.
    """
    height, width, count = samples.shape
    ordered = samples.astype(samples.dtype.newbyteorder(order))
    layers = [ordered[..., each] for each in range(count)] if planes else [ordered]
    pieces = [piece for layer in layers for piece in _pieces(layer, tile)]
    pieces = [zlib.compress(piece) for piece in pieces] if packed else pieces
    starts = [8 + sum(map(len, pieces[:number])) for number in range(len(pieces))]
    tags: list[tuple[int, int, Sequence[int]]] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [samples.dtype.itemsize * 8] * count),
        (259, 3, [8 if packed else 1]),
        (262, 3, [meaning]),
        (277, 3, [count]),
        (284, 3, [2 if planes else 1]),
        (339, 3, [_FORMATS[samples.dtype.kind]] * count),
        *more,
    ]
    tags += [(338, 3, extras)] if extras else []
    if tile:
        tags += [
            (322, 3, [tile]),
            (323, 3, [tile]),
            (324, 4, starts),
            (325, 4, [len(each) for each in pieces]),
        ]
    else:
        tags += [(273, 4, starts), (278, 3, [_ROWS]), (279, 4, [len(each) for each in pieces])]
    return with_directory(b"".join(pieces), tags, order)


def with_directory(data: bytes, tags: Iterable[tuple[int, int, Sequence[int]]], order: str = "<") -> bytes:
    """Return a TIFF file of pixel data, which begins at byte 8, and a directory behind it."""
    tags = sorted(tags)
    values, entries = b"", b""
    for tag, kind, numbers in tags:
        content = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(content) > 4:
            values += content
            content = struct.pack(order + "I", 8 + len(data) + len(values) - len(content))
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data) + len(values))
    return head + data + values + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def _pieces(layer: NDArray[Any], tile: int) -> Iterator[bytes]:
    height, width = layer.shape[:2]
    if not tile:
        yield from (layer[top : top + _ROWS].tobytes() for top in range(0, height, _ROWS))
        return
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            whole = np.zeros((tile, tile, *layer.shape[2:]), layer.dtype)
            part = layer[top : top + tile, left : left + tile]
            whole[: part.shape[0], : part.shape[1]] = part
            yield whole.tobytes()
