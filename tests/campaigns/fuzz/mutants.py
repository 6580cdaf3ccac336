"""Turn valid pictures into hostile ones: seeded, by operations that know the format."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from model.pictures import FORMATS
from tests.campaigns.fuzz.seeds import Seed, seeds
from tests.campaigns.fuzz.structure import Block, Field, parts, png_repaired

MAX_BYTES = 1 << 20
# A side of 6324 is the square of 40 million pixels; 16383 and 65535 are the limits of WebP and JPEG.
EXTREMES = (0, 1, 2, 3, 7, 255, 256, 4096, 6324, 6325, 8000, 16383, 16384, 65535, 0x7FFFFFFF)
FILLERS = (b"\0", b"\xff", b"\xff\xd8", b"\xff\xda", b"IDAT", b"%PDF-1.4", b"<script>alert(1)</script>")


class Mutant(NamedTuple):
    """A mutated picture: its `number` in the campaign, its seed and what was done to it."""

    number: int
    seed: str
    kind: str
    steps: tuple[str, ...]
    data: bytes


def mutant(campaign: int, number: int) -> Mutant:
    """Make one picture of a campaign; the same for the same numbers and libraries."""
    rng = random.Random(f"picture {campaign} {number}")
    kind = FORMATS[number % len(FORMATS)]
    origin = rng.choice([seed for seed in seeds() if seed.kind == kind])
    data, steps = origin.data, []
    for _ in range(min(6, 1 + int(rng.expovariate(0.9)))):
        (operation,) = rng.choices(list(WEIGHTED), list(WEIGHTED.values()))
        data = operation(rng, kind, data)[:MAX_BYTES]
        steps.append(operation.__name__)
    if kind == "PNG" and rng.random() < 0.8:
        data = png_repaired(data)
        steps.append("png_repaired")
    return Mutant(number, origin.name, kind, tuple(steps), data)


def flip_bits(rng: random.Random, _kind: str, data: bytes) -> bytes:
    """Flip 1 to 16 bits anywhere."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_header_bits(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Flip bits among the first bytes, where the headers are."""
    head = min(len(data), rng.choice((32, 64, 256)))
    return flip_bits(rng, kind, data[:head]) + data[head:]


def overwrite(rng: random.Random, _kind: str, data: bytes) -> bytes:
    """Overwrite a run with random or equal bytes."""
    place, length = _span(rng, data)
    run = rng.randbytes(length) if rng.random() < 0.5 else bytes([rng.choice((0, 127, 128, 255))]) * length
    return data[:place] + run + data[place + length :]


def set_field(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Falsify one of the format's numbers: extremes, off by one, the file's own size."""
    _, fields = parts(kind, data)
    if not fields:
        return set_number(rng, kind, data)
    return _lie(rng, data, rng.choice(fields))


def set_number(rng: random.Random, _kind: str, data: bytes) -> bytes:
    """Write an extreme number at any place."""
    size = rng.choice((1, 2, 4))
    if len(data) < size:
        return data
    return _lie(rng, data, Field(rng.randrange(len(data) - size + 1), size, rng.choice(("big", "little"))))


def drop_block(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Remove a chunk, segment or box."""
    block = _block(rng, kind, data)
    return data[: block.start] + data[block.end :]


def repeat_block(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Repeat a chunk, sometimes very often."""
    block = _block(rng, kind, data)
    times = rng.choice((1, 1, 2, 20, 2000))
    return data[: block.end] + (data[block.start : block.end] * times)[:MAX_BYTES] + data[block.end :]


def move_block(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Move a chunk to the start of another."""
    block, target = _block(rng, kind, data), _block(rng, kind, data)
    rest = data[: block.start] + data[block.end :]
    return rest[: target.start] + data[block.start : block.end] + rest[target.start :]


def transplant(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Insert a chunk of another picture of the same format."""
    donor = rng.choice([seed for seed in seeds() if seed.kind == kind])
    block, target = _block(rng, kind, donor.data), _block(rng, kind, data)
    start = target.start if rng.random() < 0.5 else target.end
    return data[:start] + donor.data[block.start : block.end] + data[target.end :]


def splice(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Join the beginning of one picture and the end of another, now and then of another format."""
    donors = [seed for seed in seeds() if seed.kind == kind or rng.random() < 0.05]
    donor: Seed = rng.choice(donors)
    return data[: rng.randrange(len(data) + 1)] + donor.data[rng.randrange(len(donor.data) + 1) :]


def insert(rng: random.Random, _kind: str, data: bytes) -> bytes:
    """Insert foreign bytes, up to a few hundred kilobytes."""
    place = rng.randrange(len(data) + 1)
    filler = rng.choice((rng.randbytes(rng.randrange(1, 64)), *FILLERS))
    return data[:place] + filler * rng.choice((1, 1, 4, 100, 20_000)) + data[place:]


def delete(rng: random.Random, _kind: str, data: bytes) -> bytes:
    """Remove a run of bytes."""
    place, length = _span(rng, data)
    return data[:place] + data[place + length :]


def truncate(rng: random.Random, _kind: str, data: bytes) -> bytes:
    """Cut the end off."""
    return data[: rng.randrange(len(data) + 1)]


def repack_pixels(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Mutate a PNG's pixels under their compression, so that the change is not stopped by zlib."""
    blocks, _ = parts(kind, data)
    for block in blocks if kind == "PNG" else ():
        if data[block.start + 4 : block.start + 8] == b"IDAT":
            try:
                pixels = zlib.decompressobj().decompress(data[block.start + 8 : block.end - 4], MAX_BYTES)
            except zlib.error:
                break
            changed = rng.choice((flip_bits, overwrite, delete, truncate))(rng, kind, pixels)
            packed = zlib.compress(changed)
            chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + bytes(4)
            return data[: block.start] + chunk + data[block.end :]
    return overwrite(rng, kind, data)


Operation = Callable[[random.Random, str, bytes], bytes]
WEIGHTED: dict[Operation, int] = {
    flip_bits: 14,
    flip_header_bits: 10,
    overwrite: 8,
    set_field: 26,
    set_number: 6,
    drop_block: 4,
    repeat_block: 5,
    move_block: 4,
    transplant: 8,
    splice: 5,
    insert: 5,
    delete: 4,
    truncate: 3,
    repack_pixels: 4,
}


def _lie(rng: random.Random, data: bytes, field: Field) -> bytes:
    end = field.at + field.size
    value = int.from_bytes(data[field.at : end], field.order)
    near = (value - 1, value + 1, value * 2, value // 2, len(data), len(data) + 1, -1)
    lie = rng.choice((*EXTREMES, *near, rng.getrandbits(8 * field.size))) % (1 << 8 * field.size)
    return data[: field.at] + lie.to_bytes(field.size, field.order) + data[end:]


def _block(rng: random.Random, kind: str, data: bytes) -> Block:
    """Choose one of the format's blocks, or any bytes where none is found."""
    blocks, _ = parts(kind, data)
    if blocks:
        return rng.choice(blocks)
    place, length = _span(rng, data)
    return Block(place, place + length)


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    place = rng.randrange(len(data) + 1)
    return place, min(rng.choice((1, 2, 8, 64, 1024)), len(data) - place)
