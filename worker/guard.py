"""Refuses every job that is not a search.

A client that can write to Redis can name any importable function in a job, attach callbacks and webhooks, or
fill its hash with garbage. RQ would run the function, and would stop working on garbage. Here a job consists
of the name `JOB` and one search id, nothing is imported by a name read from Redis, and any other job is moved
to quarantine, where it can be inspected for a day.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq.exceptions import DequeueTimeout
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.queue import Queue

from app.queue import JOB, QUEUE_NAME
from worker.jobs import run_search

QUARANTINE = "vitrine:quarantine"
QUARANTINE_SECONDS = 24 * 3600
MAX_DATA = 1024  # bytes; a search has about 90
# The fields that a job may have; callbacks, webhooks, groups, dependents, repeats and retries are refused.
FIELDS = frozenset(
    {"created_at", "data", "description", "ended_at", "enqueued_at", "failure_ttl", "last_heartbeat"}
    | {"origin", "result_ttl", "started_at", "status", "timeout", "worker_name"}
)

log = logging.getLogger(__name__)


class RefusedJobError(Exception):
    """A job that is not a search; the message gives the reason without quoting the job."""


class SearchJob(Job):
    """A job that can only be a search."""

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read the job's hash.

        Raises
        ------
        RefusedJobError
            The job is not a search.
        """
        foreign = {name.decode(errors="replace") for name, value in raw_data.items() if value} - FIELDS
        if foreign:
            raise RefusedJobError(f"{len(foreign)} unknown fields")
        if len(raw_data.get(b"data", b"")) > MAX_DATA:
            raise RefusedJobError("data too large")
        super().restore(raw_data)
        self._check()

    def _check(self) -> None:
        if self.origin != QUEUE_NAME:
            raise RefusedJobError("wrong queue")
        if self.func_name != JOB:
            raise RefusedJobError("wrong function")
        if self.instance is not None or self.kwargs != {} or list(self.args) != [self.id]:
            raise RefusedJobError("wrong arguments")
        if str(uuid.UUID(self.id)) != self.id:
            raise RefusedJobError("malformed id")

    def _execute(self) -> None:
        """Call `run_search` directly instead of the function named in Redis."""
        run_search(self.id)


class SearchQueue(Queue):
    """The queue of searches; refused jobs and garbage go to quarantine, and the worker continues."""

    job_class = SearchJob

    @classmethod
    def dequeue_any(
        cls, queues: Iterable[Queue], timeout: int | None, connection: Redis, *args: Any, **kwargs: Any
    ) -> tuple[Job, Queue] | None:
        """Return the next search job and its queue."""
        while True:
            try:
                return super().dequeue_any(queues, timeout, connection, *args, **kwargs)
            except (DequeueTimeout, RedisConnectionError, RedisTimeoutError):
                raise
            except UnicodeDecodeError:
                log.warning("job refused", extra={"reason": "id is not text"})
            except Exception as error:  # RQ's parsing raises errors of many kinds on garbage
                job_id = getattr(error, "job_id", None)
                if job_id is None:
                    raise
                quarantine(connection, job_id, error)


def quarantine(connection: Redis, job_id: str, error: Exception) -> None:
    """Keep a job's hash aside for a day, without reading it, and remove its id from the queue."""
    reason = str(error) if isinstance(error, RefusedJobError) else type(error).__name__
    log.warning("job refused", extra={"job": job_id[:64], "reason": reason})
    key, aside = Job.key_for(job_id), f"{QUARANTINE}:{job_id}"
    if connection.exists(key):
        connection.rename(key, aside)
        connection.expire(aside, QUARANTINE_SECONDS)
    connection.lrem(
        IntermediateQueue(Queue(QUEUE_NAME, connection=connection).key, connection).key, 0, job_id
    )
