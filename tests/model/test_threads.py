"""Threads that share a forward pass: correct, bounded, and alive after a fork."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from model.threads import Team, blas_threads, shares, team
from tests.support.checkpoints import KINDS, build_vit, random_pixels, random_tensors


@pytest.mark.parametrize(("total", "size"), [(12, 2), (3, 2), (1, 4), (0, 3), (257, 8)])
def test_shares_cover_all_and_are_even(total, size):
    parts = shares(total, size)

    lengths = [part.stop - part.start for part in parts]
    assert [index for part in parts for index in range(part.start, part.stop)] == list(range(total))
    assert len(parts) == size
    assert max(lengths) - min(lengths) <= 1


def test_every_member_works_in_a_thread_of_its_own():
    seen = {}

    Team(3).run(lambda rank: seen.update({rank: threading.get_ident()}))

    assert set(seen) == {0, 1, 2}
    assert len(set(seen.values())) == 3
    assert seen[0] == threading.get_ident()


def test_a_members_error_reaches_the_caller_after_all_have_ended():
    workers, ended = Team(3), []

    def task(rank):
        if rank == 1:
            raise MemoryError("of rank 1")
        time.sleep(0.02)
        ended.append(rank)

    with pytest.raises(MemoryError, match="of rank 1"):
        workers.run(task)
    assert sorted(ended) == [0, 2]
    workers.run(ended.append)
    assert sorted(ended) == [0, 0, 1, 2, 2]


def test_the_callers_own_error_waits_for_the_others():
    ended = []

    def task(rank):
        if rank == 0:
            raise ValueError
        time.sleep(0.02)
        ended.append(rank)

    with pytest.raises(ValueError):  # noqa: PT011
        Team(2).run(task)
    assert ended == [1]


def test_threads_end_with_their_team():
    before = threading.active_count()
    workers = Team(4)
    workers.run(lambda rank: None)
    assert threading.active_count() == before + 3

    del workers

    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_blas_is_held_to_one_thread_meanwhile_and_let_go_after():
    with threadpool_limits(2, "blas"):
        with team() as workers:
            assert workers.size == 2
            assert blas_threads() == 1
        assert blas_threads() == 2


def test_two_callers_take_turns():
    vit = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]), threads=2)
    pixels = [random_pixels(2, 3, 70, 70, seed=seed) for seed in range(6)]
    expected = [vit.forward(batch) for batch in pixels]
    found = [None] * 6

    def encode(index):
        for _ in range(5):
            found[index] = vit.forward(pixels[index])

    callers = [threading.Thread(target=encode, args=(index,)) for index in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def _encode_in_child(vit, pixels, answers):
    answers.put(vit.forward(pixels))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is a Unix call")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("used_before", [False, True])
def test_forked_children_encode_as_the_parent_does(used_before):
    context = multiprocessing.get_context("fork")
    vit = build_vit(KINDS["many-heads"], random_tensors(KINDS["many-heads"]), threads=2)
    pixels = random_pixels(3, 3, 70, 70)
    if used_before:
        vit.forward(pixels)
    answers = context.SimpleQueue()

    for _ in range(5):
        children = [context.Process(target=_encode_in_child, args=(vit, pixels, answers)) for _ in range(2)]
        for child in children:
            child.start()
        found = [answers.get() for _ in children]
        for child in children:
            child.join(30)
            assert child.exitcode == 0
        for features in found:
            np.testing.assert_array_equal(features, vit.forward(pixels))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is a Unix call")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_computation_leaves_the_child_free():
    vit = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]), threads=2)
    pixels = random_pixels(1, 3, 70, 70)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with team(2):  # the lock is held while the child is made
        child = context.Process(target=_encode_in_child, args=(vit, pixels, answers))
        child.start()
        child.join(30)

    assert child.exitcode == 0
    np.testing.assert_array_equal(answers.get(), vit.forward(pixels))
