"""Exact search, compared with plain float64 arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gallery.engines import exact
from gallery.engines.exact import ExactEngine, exact_scores, reached_by


def unit_rows(seed: int, count: int, width: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(
    features: NDArray[np.float32], query: NDArray[np.float64], k: int
) -> tuple[list[int], list[float]]:
    scores = exact_scores(features, query)
    order = sorted(range(len(features)), key=lambda row: (-scores[row], row))[:k]
    return order, scores[order].tolist()


def check(features: NDArray[np.float32], queries: NDArray[np.float64], k: int) -> None:
    hits = ExactEngine(features).search(queries, k)
    for query, rows, scores in zip(queries, hits.rows, hits.scores, strict=True):
        assert (rows.tolist(), scores.tolist()) == brute_force(features, query, k)


@pytest.mark.parametrize("queries", [1, 3, 130])
@pytest.mark.parametrize("count", [1, 9, 10, 11, 3000])
def test_rows_and_scores_are_those_of_float64_brute_force(count: int, queries: int) -> None:
    features = unit_rows(0, count, 96)
    check(features, unit_rows(1, queries, 96).astype(np.float64), 10)


def test_exact_scores_are_plain_inner_products() -> None:
    features, query = unit_rows(0, 50, 768), unit_rows(1, 1, 768)[0].astype(np.float64)
    np.testing.assert_allclose(exact_scores(features, query), features.astype(np.float64) @ query, atol=1e-14)


@given(seed=st.integers(0, 2**32 - 1), distinct=st.integers(1, 40), k=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_equal_rows_are_sorted_by_number(seed: int, distinct: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    features = unit_rows(seed, distinct, 24)[rng.integers(0, distinct, 300)]
    check(features, features[rng.integers(0, 300, 2)].astype(np.float64), k)


@pytest.mark.parametrize("block", [exact._BLOCK_SCORES, 50])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_rows_that_float32_cannot_tell_apart_are_ordered_by_float64(block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = np.repeat(unit_rows(seed, 1, 768), 400, axis=0)
    places = rng.integers(0, 768, 400)
    features[np.arange(400), places] = np.nextafter(features[0, places], np.float32(1))
    query = unit_rows(seed + 1, 1, 768).astype(np.float64)
    approximate = features @ query[0].astype(np.float32)
    assert len(np.unique(approximate)) < len(np.unique(exact_scores(features, query[0])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_BLOCK_SCORES", block)
        check(features, query, 10)


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.concatenate([unit_rows(0, 500, 32), unit_rows(0, 500, 32)])
    queries = unit_rows(1, 70, 32).astype(np.float64)
    monkeypatch.setattr(exact, "_BLOCK_SCORES", 64 * 37)
    monkeypatch.setattr(exact, "_RESCORED", 5)
    check(features, queries, 10)
    check(features, queries[:1], 10)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 3000), k=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_the_threshold_is_reached_by_k_positions_and_not_by_many_more(seed: int, count: int, k: int) -> None:
    scores, k = np.random.default_rng(seed).standard_normal(count, np.float32), min(k, count)
    threshold = reached_by(scores, k)
    assert k <= (scores >= threshold).sum() <= 2 * k + 8


@pytest.mark.parametrize("step", [1, 32 * 10])
def test_the_best_rows_may_be_neighbours_or_in_one_group(step: int) -> None:
    features = unit_rows(0, 9000, 16)
    features[: 20 * step : step] = unit_rows(1, 1, 16) + 1e-4 * unit_rows(2, 20, 16)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    check(features, unit_rows(1, 1, 16).astype(np.float64), 10)


def test_many_copies_need_no_more_memory_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.repeat(unit_rows(0, 1, 16), 20_000, axis=0)
    largest = 0

    def watched(rows: NDArray[np.float32], query: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal largest
        largest = max(largest, len(rows))
        return exact_scores(rows, query)

    monkeypatch.setattr(exact, "exact_scores", watched)
    hits = ExactEngine(features).search(features[:1].astype(np.float64), 10)
    assert hits.rows.tolist() == [list(range(10))]
    assert largest == 4096
