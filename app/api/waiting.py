"""Waiting for a search on behalf of a program, without letting all of the web process wait."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import sqlalchemy as sa

from app.database import PENDING, Search
from app.extensions import db

MAX_WAIT = 30.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between looks


class WaitingRoom:
    """Seats for requests that wait; who finds none is answered at once.

    Parameters
    ----------
    seats : int
        Fewer than the web process has threads, so that pages are always served.
    """

    def __init__(self, seats: int) -> None:
        self._seats = threading.BoundedSemaphore(seats)

    def wait(self, search_id: uuid.UUID, seconds: float) -> None:
        """Return when the search has ended, or after `seconds`, or at once where no seat is free."""
        if seconds <= 0 or not self._seats.acquire(blocking=False):
            return
        try:
            _poll(lambda: _pending(search_id), min(seconds, MAX_WAIT))
        finally:
            self._seats.release()


def _poll(pending: Callable[[], bool], seconds: float) -> None:
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while pending() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _pending(search_id: uuid.UUID) -> bool:
    """Look in a transaction of its own, or nothing new would ever be seen."""
    status = db.session.scalar(sa.select(Search.status).where(Search.id == search_id))
    db.session.rollback()
    return status in PENDING
