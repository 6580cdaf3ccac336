"""The web side of the queue; the only module in `app` that knows RQ.

The queue makes a search start soon; the row in the database guarantees that it starts. So no request waits
long for Redis: it has half a second to connect and one second to answer, and after a failure it is not asked
again for a moment, so that a Redis that hangs delays one request and not every request.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

from flask import Flask, current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import worker_registration
from rq.exceptions import DuplicateJobError
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.utils import as_text, now, utcparse

from config import Settings

QUEUE_NAME = "searches"
JOB = "worker.jobs.run_search"
CONNECT_TIMEOUT = 0.5
READ_TIMEOUT = 1.0
SILENCE = timedelta(seconds=15)  # workers send a heartbeat every three seconds
PAUSE = 2.0  # seconds between a failure of Redis and the next try
JOB_TTL = 7200  # seconds until Redis drops a job; more than any JOB_TIMEOUT

T = TypeVar("T")


class QueueClient:
    """One application's connection to its queue, shared by its threads."""

    def __init__(self, settings: Settings) -> None:
        self.redis = Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=READ_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        self.queue = Queue(
            QUEUE_NAME,
            connection=self.redis,
            serializer=JSONSerializer,
            default_timeout=settings.job_timeout,
        )
        self._paused_until = 0.0
        self._lock = threading.Lock()

    def attempt(self, action: Callable[[], T], otherwise: T) -> T:
        """Return the result of `action`, or `otherwise` if Redis is down, hangs, is full or refuses."""
        with self._lock:
            if time.monotonic() < self._paused_until:
                return otherwise
        try:
            return action()
        except (RedisError, OSError) as error:
            current_app.logger.warning("redis is not available", extra={"error": type(error).__name__})
            with self._lock:
                self._paused_until = time.monotonic() + PAUSE
            return otherwise


def init_app(app: Flask) -> None:
    """Create the application's queue; it connects when it is first used."""
    app.extensions["vitrine_queue"] = QueueClient(app.config["VITRINE"])


def connection() -> Redis:
    """Return the application's Redis client, with the short timeouts of the web side."""
    return _client().redis


def enqueue(search_id: uuid.UUID) -> bool:
    """Enqueue a search; return False if Redis cannot take it now, and the reconciler will do it later.

    The search's id is the job's id, so a search that is queued or running already is not enqueued twice.
    """
    client = _client()
    return client.attempt(lambda: _enqueue(client.queue, str(search_id)), otherwise=False)


def depth() -> int | None:
    """Return the number of waiting jobs, or None if Redis is unavailable."""
    client = _client()
    return client.attempt(lambda: int(client.queue.count), otherwise=None)


def ping() -> bool:
    """Return whether Redis answers."""
    client = _client()
    return client.attempt(lambda: bool(client.redis.ping()), otherwise=False)


def searchers() -> int | None:
    """Return the number of searchers with a recent heartbeat, or None if Redis is unavailable."""
    client = _client()
    return client.attempt(lambda: _searchers(client.queue), otherwise=None)


def live_job_ids() -> set[str]:
    """Return the ids of jobs that are waiting or being executed.

    A job that has been taken from the queue but not begun does not count: if its worker died at that moment
    it would stay there for ever. Enqueuing it again does no harm, since a row is claimed once.

    Raises
    ------
    redis.exceptions.RedisError
        Redis is unavailable.
    """
    return _live(_client().queue)


def _client() -> QueueClient:
    return cast(QueueClient, current_app.extensions["vitrine_queue"])


def _enqueue(queue: Queue, job_id: str) -> bool:
    if not _push(queue, job_id) and job_id not in _live(queue):
        # A dead worker or a failed attempt has left the job's hash behind.
        queue.connection.delete(queue.job_class.key_for(job_id))
        _push(queue, job_id)
    return True


def _push(queue: Queue, job_id: str) -> bool:
    try:
        job = queue.enqueue_call(
            JOB,
            args=(job_id,),
            job_id=job_id,
            description=JOB,
            result_ttl=0,
            failure_ttl=JOB_TTL,
            unique=True,
        )
    except DuplicateJobError:
        return False
    queue.connection.expire(job.key, JOB_TTL)  # the reconciler enqueues searches that wait longer
    return True


def _searchers(queue: Queue) -> int:
    keys = worker_registration.get_keys(queue=queue)
    seen = [queue.connection.hget(key, "last_heartbeat") for key in keys]
    return sum(now() - utcparse(as_text(beat)) < SILENCE for beat in seen if beat)


def _live(queue: Queue) -> set[str]:
    started = queue.started_job_registry
    running = set(started.get_job_ids(cleanup=False)) - set(started.get_expired_job_ids())
    return running | set(queue.get_job_ids())
