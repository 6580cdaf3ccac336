"""Rows and queue, brought together again every few seconds.

Whatever dies or forgets, the rows say what is to be done: searches that wait without a job are enqueued
again, those whose worker fell silent go back to the queue, those that were lost too often end. Several
reconcilers may run; a lease in the database lets one act at a time, also while Redis is away.
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
from worker import attempts, housekeeping

INTERVAL = 2.0
LEASE_SECONDS = 8.0
SWEEP_INTERVAL = 300.0

log = logging.getLogger(__name__)


class Reconciler:
    """Reconciles until told to stop.

    Parameters
    ----------
    app : Flask
        Gives database, queue and the uploads' directory.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._holder = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self._swept = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Reconcile every `INTERVAL` seconds, whatever went wrong the last time; end with the parent too."""
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
        """Bring rows and queue together once; False while another reconciler holds the lease."""
        with self._app.app_context():
            if not leases.hold(RECONCILER, self._holder, LEASE_SECONDS):
                return False
            live = _live_job_ids()
            found = attempts.reconcile(live or set())
            for search_id in found.failed:
                log.warning("search failed", extra={"search": str(search_id), "code": attempts.WORKER_LOST})
            if live is not None:
                _enqueue(found)
            self._sweep()
        return True

    def _sweep(self) -> None:
        if time.monotonic() - self._swept < SWEEP_INTERVAL:
            return
        self._swept = time.monotonic()
        swept = housekeeping.sweep(utcnow())
        if any(swept):
            log.info("swept", extra=swept._asdict())


def run(app: Flask) -> None:
    """Be a reconciler process until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Reconciler(app).run(stop)


def _live_job_ids() -> set[str] | None:
    """Return the queue's living jobs; None where Redis is away, so that nothing is known."""
    try:
        return queue.live_job_ids()
    except (RedisError, OSError) as error:
        log.warning("redis is not available", extra={"error": type(error).__name__})
        return None


def _enqueue(found: attempts.Reconciled) -> None:
    for search_id in found.enqueue:
        if not queue.enqueue(search_id):
            return  # Redis went away: all of them at the next turn
    if found.enqueue:
        log.info("searches enqueued again", extra={"count": len(found.enqueue)})
