"""``make bench``: measure the figures of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("encoder", "bundled", "start", "search", "indexing", "memory")
SIZES = (14_000, 140_000, 1_000_000, 1_400_000)


def main() -> None:
    """Run the chosen parts and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--largest", type=int, default=1_400_000, help="vectors in the largest search, of 3 KB each"
    )
    parser.add_argument(
        "--dry", action="store_true", help="print the figures without writing docs/benchmarks.md"
    )
    chosen = parser.parse_args()
    # Before NumPy is imported, so that all libraries use the same number.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(chosen.threads)
    # Let OpenBLAS choose its kernels by the processor, as the peers' libraries do, and not by the shell.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    (ROOT / "build").mkdir(exist_ok=True)
    os.chdir(ROOT)
    _measure(chosen)


def _measure(chosen: argparse.Namespace) -> None:
    from bench import encoder, indexing, memory, search
    from bench.report import Report, machine

    bundled = ROOT / "model" / "bundled" / "vitrine-small.safetensors"
    sizes = tuple(size for size in SIZES if size <= chosen.largest)
    report = Report()
    print(machine())
    for part in chosen.parts or PARTS:
        if part == "encoder":
            encoder.run(report, chosen.threads)
        elif part == "bundled":
            encoder.run_bundled(report, bundled, chosen.threads)
        elif part == "start":
            encoder.run_start(report)
        elif part == "search":
            search.run(report, sizes, chosen.threads)
        elif part == "indexing":
            indexing.run(report, bundled)
        else:
            memory.run(report, bundled)
    if not chosen.dry:
        report.write(ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
