"""The encoder compared with PyTorch eager and ONNX Runtime: same weights, pictures and threads."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.networks import Network, onnx_runtime, pytorch, random_base
from bench.pairs import paired
from bench.report import Report, Row
from model import Encoder, load_encoder
from model.compare import compare

NEEDED_GFLOP = 43.1  # of a 224 px picture in ViT-B/14, with the last block for the CLS token alone
MLP_SHAPE = (257, 768, 3072)
ROUNDS = 21
SECTION = "ViT-B/14"


def run(report: Report, threads: int) -> None:
    """Measure ViT-B/14 at 224 px."""
    import torch

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        weights = random_base(Path(folder))
        module, eager = pytorch(weights)
        encoder = load_encoder(weights, positions="transformers")
        _exactness(report, encoder, eager)
        _one_picture(report, encoder, eager, "PyTorch eager", "<= 0.70")
        onnx = onnx_runtime(module, 224, Path(folder) / "base.onnx", threads)
        _one_picture(report, encoder, onnx, "ONNX Runtime", "<= 1.00")
        del onnx
        _share_of_sgemm(report, encoder)
        _batches(report, encoder, eager)


def run_bundled(report: Report, bundled: Path, threads: int) -> None:
    """Measure the bundled model at its crop size."""
    import torch

    torch.set_num_threads(threads)
    encoder, (_, eager) = load_encoder(bundled), pytorch(bundled)
    for count, rounds, target in ((1, 101, "<= 1.0"), (16, 31, "")):
        pixels = _pixels(count, encoder.geometry.crop)
        pair = paired(lambda: encoder.encode_arrays(pixels), lambda: eager(pixels), rounds, pause=0.01)  # noqa: B023
        figure = "vitrine-small, one picture" if count == 1 else f"vitrine-small, {count} pictures at once"
        report.add("Bundled model", Row.of(figure, pair, "PyTorch eager", target))


def run_start(report: Report) -> None:
    """Measure time and memory of loading and encoding once, in a new process each time."""
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        _alone(report, random_base(Path(folder)))


def _pixels(batch: int, side: int = 224) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, 3, side, side), dtype=np.float32)


def _exactness(report: Report, encoder: Encoder, eager: Network) -> None:
    pixels = _pixels(1)
    [difference] = compare(encoder.encode_arrays(pixels), eager(pixels))
    distance, largest = f"{1 - difference.cosine:.1e}", f"{difference.largest:.1e}"
    report.add(SECTION, Row("ViT-B/14: 1 - cosine to transformers", distance, target="<= 1e-6"))
    report.add(SECTION, Row("ViT-B/14: largest difference to transformers", largest, target="<= 1e-4"))


def _one_picture(report: Report, encoder: Encoder, peer: Network, name: str, target: str) -> None:
    pixels = _pixels(1)
    pair = paired(lambda: encoder.encode_arrays(pixels), lambda: peer(pixels), ROUNDS)
    report.add(SECTION, Row.of("ViT-B/14, one picture", pair, name, target))


def _share_of_sgemm(report: Report, encoder: Encoder) -> None:
    rng = np.random.default_rng(0)
    tokens, width, hidden = MLP_SHAPE
    a, b = rng.random((tokens, width), dtype=np.float32), rng.random((width, hidden), dtype=np.float32)
    out, repeats, pixels = np.empty((tokens, hidden), np.float32), 36, _pixels(1)

    def sgemm() -> None:
        for _ in range(repeats):
            np.matmul(a, b, out=out)

    pair = paired(lambda: encoder.encode_arrays(pixels), sgemm, ROUNDS)
    peak = repeats * 2 * tokens * width * hidden / pair.peer / 1e9
    rate = NEEDED_GFLOP / pair.ours
    row = Row(
        "ViT-B/14, one picture: GFLOP/s", f"{rate:.0f}", f"sgemm {peak:.0f}", f"{rate / peak:.2f}", ">= 0.85"
    )
    report.add(SECTION, row)


def _batches(report: Report, encoder: Encoder, eager: Network) -> None:
    pixels = _pixels(8)
    pair = paired(lambda: encoder.encode_arrays(pixels), lambda: eager(pixels), 9)
    report.add(SECTION, Row.of("ViT-B/14, 8 pictures at once", pair, "PyTorch eager", "<= 0.65"))


_ALONE = """
import pathlib, sys, time
start = time.perf_counter()
import numpy as np
from model import load_encoder
encoder = load_encoder(sys.argv[1])
ready = time.perf_counter() - start
def resident(peak):
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:" if peak else "VmRSS:")[1].split()[0]) / 1024
pathlib.Path("/proc/self/clear_refs").write_text("5")  # reset the peak, which loading has raised
loaded = resident(peak=False)
encoder.encode_arrays(np.zeros((1, 3, 224, 224), np.float32))
print(ready, loaded, resident(peak=True))
"""


def _alone(report: Report, weights: Path) -> None:
    command = [sys.executable, "-c", _ALONE, str(weights)]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    readings = []
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        readings.append([float(value) for value in done.stdout.split()])
    ready, loaded, peak = np.median(np.array(readings), axis=0)
    report.add(
        "Start and memory", Row("ViT-B/14: ready from .safetensors", f"{ready:.2f} s", target="<= 1.5 s")
    )
    report.add("Start and memory", Row("ViT-B/14: resident when loaded", f"{loaded:.0f} MiB"))
    beside = f"{peak - weights.stat().st_size / 2**20:.0f} MiB"
    report.add(
        "Start and memory", Row("ViT-B/14: peak beside the weights, one picture", beside, target="<= 150")
    )
