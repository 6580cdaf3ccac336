"""The process that compares rows and queue every few seconds.

The rows are the truth: queued searches without a job are enqueued again, searches whose worker fell silent
return to the queue, and those that lost their worker too often fail. Several reconcilers may run; a lease in
the database lets one act at a time, even while Redis is unavailable.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time

from flask import Flask
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app import leases, queue
from app.database import RECONCILER, utcnow
from worker import housekeeping
from worker.attempts import WORKER_LOST
from worker.reconciliation import Reconciled, reconcile

INTERVAL = 2.0
LEASE_SECONDS = 8.0
SWEEP_INTERVAL = 300.0

log = logging.getLogger(__name__)


class Reconciler:
    """Reconciles until told to stop.

    Parameters
    ----------
    app : Flask
        Provides database, queue and the uploads' directory.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._holder = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self._swept = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Reconcile every `INTERVAL` seconds until `stop` is set or the parent has died; survive errors."""
        parent = os.getppid()
        while not stop.is_set() and os.getppid() == parent:
            try:
                self.reconcile()
            except Exception:
                log.exception("could not reconcile")
            stop.wait(INTERVAL)
        with contextlib.suppress(SQLAlchemyError), self._app.app_context():
            leases.release(RECONCILER, self._holder)

    def reconcile(self) -> bool:
        """Reconcile once; return False while another reconciler holds the lease."""
        with self._app.app_context():
            if not leases.hold(RECONCILER, self._holder, LEASE_SECONDS):
                return False
            live = _live_job_ids()
            found = reconcile(live or set())
            for search_id in found.failed:
                log.warning("search failed", extra={"search": str(search_id), "code": WORKER_LOST})
            if live is not None:
                _enqueue(found)
            self._sweep()
        return True

    def _sweep(self) -> None:
        if time.monotonic() - self._swept < SWEEP_INTERVAL:
            return
        self._swept = time.monotonic()
        removed = housekeeping.sweep(utcnow())
        if any(removed):
            log.info("expired data removed", extra=removed._asdict())


def run(app: Flask) -> None:
    """Reconcile until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Reconciler(app).run(stop)


def _live_job_ids() -> set[str] | None:
    """Return the ids of live jobs, or None if Redis is unavailable."""
    try:
        return queue.live_job_ids()
    except (RedisError, OSError) as error:
        log.warning("redis is not available", extra={"error": type(error).__name__})
        return None


def _enqueue(found: Reconciled) -> None:
    for search_id in found.enqueue:
        if not queue.enqueue(search_id):
            return  # Redis became unavailable: the next round enqueues the rest
    if found.enqueue:
        log.info("searches enqueued again", extra={"count": len(found.enqueue)})
