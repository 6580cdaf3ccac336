"""Exact top-10 search compared with IndexFlatIP of faiss-cpu and with a single sgemv, on the same threads."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from bench.pairs import paired, timed
from bench.report import Report, Row, milliseconds
from gallery.engines.exact import ExactEngine

DIM, TOP = 768, 10
CHECKED = 200_000  # up to this many vectors, the result is compared with brute force in float64
BURST = 7  # searches in a row: the first after a pause is slower, in both libraries
SECTION = "Search"


def run(report: Report, sizes: tuple[int, ...], threads: int) -> None:
    """Measure one query over unit vectors in a mapped file at each size, and many queries at the smallest."""
    import faiss

    faiss.omp_set_num_threads(threads)
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        for size in sizes:
            path = Path(folder) / f"{size}.npy"
            matrix = _unit_vectors(path, size)
            index = faiss.IndexFlatIP(DIM)
            index.add(matrix)
            _one_query(report, matrix, index)
            if size == sizes[0]:
                _many_queries(report, matrix, index)
            del matrix, index
            path.unlink()


def _one_query(report: Report, matrix: np.ndarray, index: object) -> None:
    size, engine = len(matrix), ExactEngine(matrix)
    noise = np.random.default_rng(1).standard_normal(DIM)
    query = matrix[size // 3] + 0.05 * noise
    query = np.asarray(query / np.linalg.norm(query), np.float64)[np.newaxis]
    single = query.astype(np.float32)
    if size <= CHECKED:
        expected = np.argsort(-(matrix.astype(np.float64) @ query[0]), kind="stable")[:TOP]
        if not np.array_equal(engine.search(query, TOP).rows[0], expected):
            raise SystemExit(f"the search over {size:,} vectors differs from float64")
    rounds = 31 if size <= 20_000 else 11 if size <= 200_000 else 5
    scores = np.empty(size, np.float32)
    faiss = paired(lambda: engine.search(query, TOP), lambda: index.search(single, TOP), rounds, burst=BURST)
    sgemv = paired(
        lambda: engine.search(query, TOP), lambda: np.dot(matrix, single[0], out=scores), rounds, burst=BURST
    )
    label = f"one query, {size:,} x {DIM}"
    report.add(SECTION, Row.of(label, faiss, "faiss IndexFlatIP", "<= 0.75"))
    report.add(SECTION, Row.of(label, sgemv, "one sgemv", "<= 1.15"))
    read = timed(lambda: np.add.reduce(matrix.view(np.int32).reshape(-1)[::16]))
    report.add(
        SECTION,
        Row(f"one thread reading each cache line of {matrix.nbytes / 1e9:.2f} GB", milliseconds(read)),
    )


def _many_queries(report: Report, matrix: np.ndarray, index: object) -> None:
    engine, queries = ExactEngine(matrix), np.ascontiguousarray(matrix[:64])
    exact = queries.astype(np.float64)
    pair = paired(lambda: engine.search(exact, TOP), lambda: index.search(queries, TOP), 11, burst=BURST)
    report.add(SECTION, Row.of(f"64 queries at once, {len(matrix):,} x {DIM}", pair, "faiss IndexFlatIP"))


def _unit_vectors(path: Path, size: int) -> np.ndarray:
    """Write seeded unit vectors block by block, and return them as a mapped array."""
    rng = np.random.default_rng(0)
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(size, DIM))
    for start in range(0, size, 65_536):
        block = rng.standard_normal((min(65_536, size - start), DIM), dtype=np.float32)
        matrix[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    matrix.flush()
    del matrix
    return np.asarray(np.load(path, mmap_mode="r"))
