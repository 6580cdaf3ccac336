"""Indexing compared with the encoder alone: what decoding, thumbnails and writing add."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.networks import random_base
from bench.pairs import timed
from bench.report import Report, Row
from gallery.encoding import BATCH_SIZE
from gallery.indexing import build
from model import Encoder, load_encoder


def run(report: Report, bundled: Path) -> None:
    """Measure ViT-B/14 on 12-megapixel photographs and the bundled model on 500-pixel ones."""
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        base = load_encoder(random_base(Path(folder)))
    _one(report, "ViT-B/14, 12 MP JPEG", base, pictures=48, size=(4000, 3000), target=0.90)
    _one(
        report,
        "vitrine-small, 500 px JPEG",
        load_encoder(bundled),
        pictures=1500,
        size=(500, 375),
        target=0.60,
    )


def _one(
    report: Report, label: str, encoder: Encoder, *, pictures: int, size: tuple[int, int], target: float
) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        root = Path(folder) / "pictures"
        _make_pictures(root, pictures, size)
        alone = _encoder_rate(encoder)
        seconds = timed(
            lambda: build(root, Path(folder) / "index", encoder, thumbnails_dir=Path(folder) / "thumbnails")
        )
        rate = pictures / seconds
        report.add(
            "Indexing",
            Row(
                f"{label}: pictures per second, indexing and encoder alone",
                f"{rate:.1f}",
                f"encoder {alone:.1f}",
                f"{rate / alone:.2f}",
                f">= {target:.2f}",
            ),
        )


def _encoder_rate(encoder: Encoder, batch: int = BATCH_SIZE) -> float:
    side = encoder.geometry.crop
    pixels = np.random.default_rng(0).standard_normal((batch, 3, side, side), dtype=np.float32)
    encoder.encode_arrays(pixels)
    rounds = max(3, int(2 / timed(lambda: encoder.encode_arrays(pixels))))
    return batch * rounds / timed(lambda: [encoder.encode_arrays(pixels) for _ in range(rounds)])


def _make_pictures(root: Path, count: int, size: tuple[int, int]) -> None:
    """Write different JPEG files with a spectrum like that of photographs: random fields at two scales."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        field = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        detail = Image.fromarray(rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        encoded = io.BytesIO()
        Image.blend(field, detail, 0.15).save(encoded, "JPEG", quality=88)
        (root / f"{number:05}.jpg").write_bytes(encoded.getvalue())
