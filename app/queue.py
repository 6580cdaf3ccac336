"""The web side of the queue, and the only place here that knows RQ.

The queue makes a search happen soon; the row in the database makes sure that it happens. So nothing here is
worth waiting for: Redis gets half a second to connect and one to answer, and after a failure is left alone
for a moment, so that a hung Redis costs one request a second and not every request.
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
SILENCE = timedelta(seconds=15)  # a worker idle or busy gives a sign every three
PAUSE = 2.0  # seconds without a further try after Redis failed
JOB_TTL = 7200  # seconds, more than any JOB_TIMEOUT, until a job goes that nobody came to remove

T = TypeVar("T")


class QueueClient:
    """One application's connection to its queue; threads share it."""

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
        """Return what `action` returns, or `otherwise` where Redis is away, hung, full or refuses."""
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
    """Give the application its queue; nothing is connected yet."""
    app.extensions["vitrine_queue"] = QueueClient(app.config["VITRINE"])


def connection() -> Redis:
    """The application's Redis, with the short time limits of the web side."""
    return _client().redis


def enqueue(search_id: uuid.UUID) -> bool:
    """Ask for a search to be carried out; False where Redis cannot take it now and the reconciler will.

    The search's id is the job's id, so a search that waits in the queue or runs already is not enqueued
    twice.
    """
    client = _client()
    return client.attempt(lambda: _enqueue(client.queue, str(search_id)), otherwise=False)


def depth() -> int | None:
    """How many jobs wait; None where Redis is away."""
    client = _client()
    return client.attempt(lambda: int(client.queue.count), otherwise=None)


def ping() -> bool:
    """Whether Redis answers."""
    client = _client()
    return client.attempt(lambda: bool(client.redis.ping()), otherwise=False)


def searchers() -> int | None:
    """How many worker processes have given a sign of life lately; None where Redis is away."""
    client = _client()
    return client.attempt(lambda: _searchers(client.queue), otherwise=None)


def live_job_ids() -> set[str]:
    """Ids of the jobs that wait, or that a worker has begun and not given up.

    A job between the two, taken from the queue and not begun, does not count: a worker that dies there would
    hold it for ever, and to enqueue it again does no harm, since the row is claimed once.

    Raises
    ------
    redis.exceptions.RedisError
        Redis is away, so nothing is known.
    """
    return _live(_client().queue)


def _client() -> QueueClient:
    return cast(QueueClient, current_app.extensions["vitrine_queue"])


def _enqueue(queue: Queue, job_id: str) -> bool:
    if not _push(queue, job_id) and job_id not in _live(queue):
        # What a dead worker or a failed attempt left behind stands in the way.
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
    queue.connection.expire(job.key, JOB_TTL)  # a search that waits for longer is enqueued again
    return True


def _searchers(queue: Queue) -> int:
    keys = worker_registration.get_keys(queue=queue)
    seen = [queue.connection.hget(key, "last_heartbeat") for key in keys]
    return sum(now() - utcparse(as_text(beat)) < SILENCE for beat in seen if beat)


def _live(queue: Queue) -> set[str]:
    started = queue.started_job_registry
    running = set(started.get_job_ids(cleanup=False)) - set(started.get_expired_job_ids())
    return running | set(queue.get_job_ids())
