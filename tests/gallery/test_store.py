"""The store: an index opened for searching."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from gallery import Store
from gallery.errors import IndexMissingError, ItemMissingError, StoreError
from tests.support.galleries import picture
from tests.support.index import Index


@pytest.fixture
def store(index: Index) -> Store:
    index.build()
    return index.open(expected=index.encoder.fingerprint)


def test_a_picture_of_the_gallery_finds_itself_first(store: Store, index: Index) -> None:
    for item in store.catalog.page(0, 12):
        (first, score), *others = store.search(index.encoder.encode([store.catalog.file(item)])[0], 10)
        assert first == item
        assert score == pytest.approx(1.0, abs=1e-6)
        assert len(others) == 9


def test_scores_are_the_cosines_of_float64(store: Store, index: Index) -> None:
    vector = index.encoder.encode([picture(900)])[0].astype(np.float64)
    cosines = store.features.astype(np.float64) @ (vector / np.linalg.norm(vector))
    found = store.search(vector * 100, 12)
    assert [store.catalog.row(item.id) for item, _ in found] == np.argsort(-cosines, kind="stable").tolist()
    np.testing.assert_allclose([score for _, score in found], np.sort(cosines)[::-1], atol=1e-14)
    assert all(isinstance(score, float) and -1 <= score <= 1 for _, score in found)


def test_the_folder_may_be_given_as_text(store: Store, index: Index) -> None:
    with contextlib.closing(Store.open(str(index.folder))) as same:
        assert same.generation == store.generation


def test_items_left_out_are_replaced_by_the_next(store: Store) -> None:
    item = store.catalog.at(3)
    ranked = [found for found, _ in store.search(store.feature(item.id), 12)]
    others = store.search(store.feature(item.id), 10, exclude=[item.id, ranked[4].id])
    assert [found for found, _ in others] == ranked[1:4] + ranked[5:]


def test_many_queries_are_answered_as_each_alone(store: Store) -> None:
    vectors = np.stack([store.feature(item.id) for item in store.catalog.page(0, 12)])
    assert store.search_many(vectors, 5) == [store.search(vector, 5) for vector in vectors]


@pytest.mark.parametrize("vector", [np.zeros(64), np.full(64, np.nan), np.full(64, np.inf), np.ones(63)])
def test_a_query_without_direction_or_of_another_width_is_refused(store: Store, vector: object) -> None:
    with pytest.raises(StoreError):
        store.search(vector, 10)  # type: ignore[arg-type]


def test_the_feature_of_an_unknown_item_is_refused(store: Store) -> None:
    with pytest.raises(ItemMissingError) as caught:
        store.feature("0" * 16)
    assert caught.value.code == "item_gone"


def test_a_missing_index_is_refused_with_the_command_that_makes_one(index: Index) -> None:
    with pytest.raises(IndexMissingError, match="flask gallery index DIR"):
        index.open()


def test_the_features_are_mapped_and_cannot_be_written(store: Store) -> None:
    assert not store.features.flags.writeable
    assert not store.features.flags.owndata


def answer_of_a_child(ask: Callable[[], str]) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os.write(write, ask().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def test_a_forked_child_searches_its_parents_store(store: Store) -> None:
    query = store.feature(store.catalog.at(0).id)
    expected = repr(store.search(query, 5))
    assert answer_of_a_child(lambda: repr(store.search(query, 5))) == expected
    assert repr(store.search(query, 5)) == expected


def test_a_child_forked_while_another_thread_reads_is_not_locked_out(store: Store) -> None:
    with store.catalog._reader._lock:
        assert answer_of_a_child(lambda: store.catalog.at(0).path) == "a/000.jpg"
