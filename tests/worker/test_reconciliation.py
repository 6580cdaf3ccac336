"""Rows compared with the queue: what is enqueued again, and what fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.database import utcnow
from tests.support.searches import claimed, row, waiting_search
from tests.support.web import BOTH
from worker import attempts
from worker.reconciliation import reconcile

pytestmark = [BOTH, pytest.mark.usefixtures("context")]


def test_queued_searches_without_a_job_are_returned_oldest_first() -> None:
    first, second, third = (waiting_search() for _ in range(3))
    claimed(third)
    later = utcnow() + timedelta(seconds=5)
    assert reconcile({str(first)}, later) == ([second], [])
    assert reconcile(set(), later).enqueue == [first, second]


def test_a_search_that_is_about_to_be_enqueued_is_left_alone() -> None:
    waiting_search()
    assert reconcile(set()) == ([], [])


def test_a_search_whose_lease_lapsed_returns_to_the_queue_and_keeps_its_attempt() -> None:
    search_id = waiting_search()
    claimed(search_id)
    found = reconcile(set(), utcnow() + timedelta(seconds=11))
    assert found.enqueue == [search_id]
    assert (row(search_id).attempt, row(search_id).stage) == (1, "waiting")
    assert claimed(search_id).attempt == 2


def test_a_search_that_lost_its_worker_three_times_fails() -> None:
    search_id = waiting_search()
    for _ in range(attempts.MAX_ATTEMPTS):
        claimed(search_id)
        found = reconcile(set(), utcnow() + timedelta(minutes=1))
    assert found == ([], [search_id])
    assert (row(search_id).status, row(search_id).error_code) == ("failed", "worker_lost")
    assert row(search_id).finished is not None


def test_row_73_a_lease_from_before_the_clock_was_set_back_has_lapsed() -> None:
    search_id = waiting_search()
    claimed(search_id)
    assert reconcile(set(), utcnow() - timedelta(hours=1)).enqueue == [search_id]
    assert row(search_id).status == "queued"
