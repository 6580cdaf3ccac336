"""Pictures of the size that cameras and phones make: coloured clouds at all scales, shapes, and grain.

Clouds and grain are what makes a photograph's file large, and decoding it slow; flat drawings would do for
neither.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.galleries import picture

SIZES = ((1200, 900), (900, 1200), (1600, 1200), (2000, 1500))  # 1 to 3 megapixels
OCTAVES = ((4, 0.5), (16, 0.35), (64, 0.25), (256, 0.15))  # cells along the longer side, and their share
GRAIN = 6.0  # of 255
QUALITY = 88
START, COMMENT = b"\xff\xd8", b"\xff\xfe"  # markers of JPEG


def photograph(seed: int, size: tuple[int, int]) -> Image.Image:
    """Return a picture of width by height pixels that differs from that of any other seed."""
    rng = np.random.default_rng(seed)
    image = picture(seed, size)
    for cells, share in OCTAVES:
        if cells < max(size):
            coarse = rng.integers(0, 256, (max(2, cells * size[1] // max(size)), cells, 3), np.uint8)
            image = Image.blend(image, Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), share)
    grain = rng.normal(0.0, GRAIN, (size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def uploads(count: int) -> list[bytes]:
    """Return JPEG files of 1 to 3 megapixels."""
    return [_jpeg(photograph(seed, SIZES[seed % len(SIZES)])) for seed in range(count)]


def numbered(file: bytes, number: int) -> bytes:
    """Return the JPEG file with a comment unique to `number`: other bytes, the same pixels."""
    text = f"number {number}".encode()
    return START + COMMENT + (len(text) + 2).to_bytes(2) + text + file.removeprefix(START)


def write_gallery(folder: Path, count: int) -> Path:
    """Write `count` smaller photographs into `folder` and return it; the first ones resemble the uploads."""
    for seed, file in enumerate(_small(count)):
        path = folder / f"{seed % 10}" / f"{seed:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file)
    return folder


def _small(count: int) -> Iterator[bytes]:
    for seed in range(count):
        width, height = SIZES[seed % len(SIZES)]
        yield _jpeg(photograph(seed, (width // 4, height // 4)))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
