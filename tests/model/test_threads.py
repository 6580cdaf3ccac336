"""Threads that share a forward pass: results, errors, limits, and forks."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from model.network import stream, vit
from model.network.functional import Array
from model.network.threads import Team, blas_threads, shares, team
from model.network.vit import VisionTransformer
from tests.support.checkpoints import KINDS, build_vit, random_pixels, random_tensors


@pytest.fixture(autouse=True)
def small_networks_are_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vit, "SHARED_OPERATIONS", 0)


@pytest.mark.parametrize(("total", "size"), [(12, 2), (3, 2), (1, 4), (0, 3), (257, 8)])
def test_shares_cover_all_and_are_even(total: int, size: int) -> None:
    parts = shares(total, size)

    lengths = [part.stop - part.start for part in parts]
    assert [index for part in parts for index in range(part.start, part.stop)] == list(range(total))
    assert len(parts) == size
    assert max(lengths) - min(lengths) <= 1


def test_every_member_works_in_its_own_thread() -> None:
    seen = {}

    Team(3).run(lambda rank: seen.update({rank: threading.get_ident()}))

    assert set(seen) == {0, 1, 2}
    assert len(set(seen.values())) == 3
    assert seen[0] == threading.get_ident()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_members_error_reaches_the_caller(failing: int) -> None:
    def task(rank: int) -> None:
        if rank == failing:
            raise MemoryError(f"of rank {rank}")

    with pytest.raises(MemoryError, match=f"of rank {failing}"):
        Team(3).run(task)


def test_a_new_team_is_made_after_an_error() -> None:
    with pytest.raises(ValueError, match="in the middle"), team(2) as failed:
        raise ValueError("in the middle")

    with team(2) as workers:
        assert workers is not failed
    with team(2) as again:
        assert again is workers


def test_a_thread_left_at_work_by_an_error_does_not_touch_the_next_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]), threads=2)
    pixels, layer_norm = random_pixels(1, 3, 70, 70), stream.layer_norm
    expected = network.forward(pixels)
    at_work, next_began, left_one_wrote = (threading.Event() for _ in range(3))

    def breaks_off(x: Array, eps: float, out: Array) -> None:
        if threading.current_thread() is threading.main_thread():
            at_work.wait(10)
            raise TimeoutError
        at_work.set()
        next_began.wait(10)
        x.fill(np.nan)
        left_one_wrote.set()

    def begins(x: Array, eps: float, out: Array) -> None:
        next_began.set()
        left_one_wrote.wait(10)
        layer_norm(x, eps, out)

    monkeypatch.setattr(stream, "layer_norm", breaks_off)
    with pytest.raises(TimeoutError):
        network.forward(pixels)
    monkeypatch.setattr(stream, "layer_norm", begins)

    np.testing.assert_array_equal(network.forward(pixels), expected)


def test_threads_end_with_their_team() -> None:
    before = set(threading.enumerate())
    workers = Team(4)
    workers.run(lambda rank: None)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 3

    del workers

    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_blas_is_limited_to_one_thread_while_a_team_works() -> None:
    with threadpool_limits(2, "blas"):
        with team() as workers:
            assert workers.size == 2
            assert blas_threads() == 1
        assert blas_threads() == 2


def test_a_second_caller_waits_for_the_first() -> None:
    entered = threading.Event()

    def second() -> None:
        with team(1):
            entered.set()

    caller = threading.Thread(target=second)
    with team(1):
        caller.start()
        assert not entered.wait(0.1)
    caller.join(10)
    assert entered.is_set()


def test_callers_in_many_threads_get_their_own_features() -> None:
    network = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]), threads=2)
    pixels = [random_pixels(2, 3, 70, 70, seed=seed) for seed in range(6)]
    expected = [network.forward(batch) for batch in pixels]
    found: list[Array | None] = [None] * 6

    def encode(index: int) -> None:
        for _ in range(5):
            found[index] = network.forward(pixels[index])

    callers = [threading.Thread(target=encode, args=(index,)) for index in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def encode_in_children(count: int, network: VisionTransformer, pixels: Array) -> list[Array]:
    """Return the features that `count` forked children compute; each child must exit."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    children = [context.Process(target=lambda: answers.put(network.forward(pixels))) for _ in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
        child.kill()
    assert [child.exitcode for child in children] == [0] * count
    return [answers.get() for _ in children]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is a Unix call")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("used_before", [False, True])
def test_forked_children_encode_as_the_parent_does(used_before: bool) -> None:
    network = build_vit(KINDS["many-heads"], random_tensors(KINDS["many-heads"]), threads=2)
    pixels = random_pixels(3, 3, 70, 70)
    if used_before:
        network.forward(pixels)

    for _ in range(5):
        for features in encode_in_children(2, network, pixels):
            np.testing.assert_array_equal(features, network.forward(pixels))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is a Unix call")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_during_a_computation_can_compute() -> None:
    network = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]), threads=2)
    pixels = random_pixels(1, 3, 70, 70)
    with team(2):  # the lock is held while the child is made
        (features,) = encode_in_children(1, network, pixels)

    np.testing.assert_array_equal(features, network.forward(pixels))
