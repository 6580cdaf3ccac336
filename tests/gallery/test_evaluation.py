"""Precision, average precision and recall, compared with a plain computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gallery.errors import StoreError
from gallery.evaluation import evaluate, score
from model import Encoder
from tests.support.galleries import write_picture
from tests.support.index import Spy


def plain_means(features: np.ndarray, labels: list[int]) -> list[float]:
    """Compute the four means, one query and one rank at a time."""
    totals = np.zeros(4)
    queries = [row for row in range(len(labels)) if labels.count(labels[row]) > 1]
    for query in queries:
        scores = features.astype(np.float64) @ features[query].astype(np.float64)
        others = [row for row in np.argsort(-scores, kind="stable") if row != query]
        relevant = labels.count(labels[query]) - 1
        hits, average = 0, 0.0
        for rank, row in enumerate(others[:10], start=1):
            if labels[row] == labels[query]:
                hits += 1
                average += hits / rank
        totals += [
            labels[others[0]] == labels[query],
            hits / 10,
            average / min(10, relevant),
            hits / relevant,
        ]
    return (totals / len(queries)).tolist()


@pytest.mark.parametrize(("count", "classes"), [(200, 7), (60, 30), (8, 2), (300, 2)])
def test_the_means_are_those_of_a_plain_computation(count: int, classes: int) -> None:
    rng = np.random.default_rng(count)
    labels = rng.integers(0, classes, count)
    features = rng.standard_normal((count, 16)) + rng.standard_normal((classes, 16))[labels]
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    found = score(features, labels)
    values = [found.p_at_1, found.p_at_10, found.map_at_10, found.recall_at_10]
    np.testing.assert_allclose(values, plain_means(features, labels.tolist()), atol=1e-12)


def test_a_query_never_finds_itself_even_among_its_copies() -> None:
    features = np.tile(np.eye(1, 4, dtype=np.float32), (30, 1))
    found = score(features, np.array([0] * 15 + [1] * 15))
    # The first ten rows except the query's own all have label 0.
    assert (found.p_at_1, found.p_at_10, found.map_at_10) == (0.5, 0.5, 0.5)


def test_labels_that_are_all_unique_are_refused() -> None:
    with pytest.raises(StoreError, match="same label"):
        score(np.eye(4, dtype=np.float32), np.arange(4))


def test_folders_are_labels_and_a_second_run_encodes_nothing(tmp_path: Path, encoder: Encoder) -> None:
    root = tmp_path / "labelled"
    for seed in range(24):
        write_picture(root / "xyz"[seed % 3] / f"{seed}.png", seed)
    write_picture(root / "no label.png", 100)
    (root / "x" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    first = evaluate(root, encoder, cache_dir=tmp_path / "cache")
    assert (first.classes, first.pictures) == (3, 24)
    assert [file.path for file in first.skipped] == ["no label.png", "x/broken.jpg"]
    assert set(first.as_dict()) == {
        "model", "classes", "pictures", "p_at_1", "p_at_10", "map_at_10", "recall_at_10",
    }  # fmt: skip
    spy = Spy(encoder)
    assert evaluate(root, spy, cache_dir=tmp_path / "cache") == first
    assert spy.pictures == 0
