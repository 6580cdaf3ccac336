"""Wait for a search on behalf of a program, without blocking all threads of the web process."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import sqlalchemy as sa

from app.database import PENDING, Search
from app.extensions import db

MAX_WAIT = 30.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between queries


class WaitSlots:
    """A limited number of requests that may wait; others are answered at once.

    Parameters
    ----------
    slots : int
        Fewer than the threads of the web process, so that pages are always served.
    """

    def __init__(self, slots: int) -> None:
        self._slots = threading.BoundedSemaphore(slots)

    def wait(self, search_id: uuid.UUID, seconds: float) -> None:
        """Return when the search has ended, after `seconds`, or at once if no slot is free."""
        if seconds <= 0 or not self._slots.acquire(blocking=False):
            return
        try:
            _poll(lambda: _pending(search_id), min(seconds, MAX_WAIT))
        finally:
            self._slots.release()


def _poll(pending: Callable[[], bool], seconds: float) -> None:
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while pending() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _pending(search_id: uuid.UUID) -> bool:
    """Query in a new transaction each time, since an open one would not see changes."""
    status = db.session.scalar(sa.select(Search.status).where(Search.id == search_id))
    db.session.rollback()
    return status in PENDING
