"""Memory while a large gallery is indexed, which should hold only name and checksum of each picture."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.report import Report, Row

SECTION = "Memory of indexing"
PICTURES, MEASURED_AT = 50_000, (1_000, 10_000, 50_000)
_FOLDER = 1_000  # pictures in each

_INDEX = """
import pathlib, re, sys
from gallery.indexing import build
from model import load_encoder
root, weights, measured_at = pathlib.Path(sys.argv[1]), sys.argv[2], set(map(int, sys.argv[3:]))
status = pathlib.Path("/proc/self/status")
def measure(done, _):
    if done in measured_at:
        print(int(re.search(r"VmRSS:\\s+(\\d+) kB", status.read_text())[1]) / 1024)
encoder, thumbnails = load_encoder(weights), root / "thumbnails"
build(root / "pictures", root / "index", encoder, thumbnails_dir=thumbnails, progress=measure)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024)
"""


def run(report: Report, bundled: Path) -> None:
    """Index 50,000 small JPEGs with the bundled model, in a new process."""
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        _make_pictures(Path(folder) / "pictures")
        command = [sys.executable, "-c", _INDEX, folder, str(bundled), *map(str, MEASURED_AT)]
        environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    *seen, peak = map(float, done.stdout.split())
    for count, resident in zip(MEASURED_AT, seen, strict=True):
        report.add(SECTION, Row(f"resident at picture {count:,} of {PICTURES:,}", f"{resident:.0f} MiB"))
    report.add(SECTION, Row("peak, writing the index included", f"{peak:.0f} MiB"))


def _make_pictures(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        folder = root / f"{number // _FOLDER:02}"
        folder.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        small.resize((64, 48)).save(folder / f"{number:05}.jpg", quality=85)
