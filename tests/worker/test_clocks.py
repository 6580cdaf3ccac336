"""Clocks that differ between machines; with SQLite all processes have the clock of one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.database import utcnow
from tests.support.searches import claimed, row, waiting_search
from worker.reconciliation import reconcile

pytestmark = [
    pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.postgres)]),
    pytest.mark.usefixtures("context"),
]


def test_row_73_a_worker_whose_clock_is_ahead_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    search_id = waiting_search()
    claimed(search_id)
    ahead = utcnow() + timedelta(seconds=30)
    monkeypatch.setattr("app.database.base.utcnow", lambda: ahead)
    assert reconcile(set()) == ([], [])
    assert row(search_id).status == "running"
