"""Only the project's own job gets through.

Whoever can write to Redis can name any importable function in a job, hang callbacks and web addresses on it,
or fill its hash with garbage; RQ would run the first and stop working on the last. Here a job is
the name `JOB` and one search id, nothing is ever imported by a name that Redis holds, and what is otherwise
is put aside for a day, for whoever wants to look.
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
MAX_DATA = 1024  # bytes; a search's own are about 90
# A job may have these; callbacks, webhooks, groups, dependants, repeats and retries are not for searches.
FIELDS = frozenset(
    {"created_at", "data", "description", "ended_at", "enqueued_at", "failure_ttl", "last_heartbeat"}
    | {"origin", "result_ttl", "started_at", "status", "timeout", "worker_name"}
)

log = logging.getLogger(__name__)


class RefusedJobError(Exception):
    """A job that is not one of ours; the message says why, without quoting it."""


class SearchJob(Job):
    """A job that can only be a search."""

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read the job's hash.

        Raises
        ------
        RefusedJobError
            It is no search.
        """
        foreign = {name.decode(errors="replace") for name, value in raw_data.items() if value} - FIELDS
        if foreign:
            raise RefusedJobError(f"{len(foreign)} fields that a search does not have")
        if len(raw_data.get(b"data", b"")) > MAX_DATA:
            raise RefusedJobError("too large")
        super().restore(raw_data)
        self._check()

    def _check(self) -> None:
        if self.origin != QUEUE_NAME:
            raise RefusedJobError("from another queue")
        if self.func_name != JOB:
            raise RefusedJobError("another function")
        if self.instance is not None or self.kwargs != {} or list(self.args) != [self.id]:
            raise RefusedJobError("other arguments than its own id")
        if str(uuid.UUID(self.id)) != self.id:
            raise RefusedJobError("an id that is no search's")

    def _execute(self) -> None:
        """Run the one function there is, by reference and not by the name in Redis."""
        run_search(self.id)


class SearchQueue(Queue):
    """The queue of searches; jobs that are refused, and garbage, go to quarantine and the worker goes on."""

    job_class = SearchJob

    @classmethod
    def dequeue_any(
        cls, queues: Iterable[Queue], timeout: int | None, connection: Redis, *args: Any, **kwargs: Any
    ) -> tuple[Job, Queue] | None:
        """Return the next job that is a search, and its queue."""
        while True:
            try:
                return super().dequeue_any(queues, timeout, connection, *args, **kwargs)
            except (DequeueTimeout, RedisConnectionError, RedisTimeoutError):
                raise
            except UnicodeDecodeError:
                log.warning("job refused", extra={"reason": "an id that is no text"})
            except Exception as error:  # whatever RQ's parsing raises on what someone wrote there
                job_id = getattr(error, "job_id", None)
                if job_id is None:
                    raise
                quarantine(connection, job_id, error)


def quarantine(connection: Redis, job_id: str, error: Exception) -> None:
    """Put a job's hash aside for a day and take its id out of the books; never look into it."""
    reason = str(error) if isinstance(error, RefusedJobError) else type(error).__name__
    log.warning("job refused", extra={"job": job_id[:64], "reason": reason})
    key, aside = Job.key_for(job_id), f"{QUARANTINE}:{job_id}"
    if connection.exists(key):
        connection.rename(key, aside)
        connection.expire(aside, QUARANTINE_SECONDS)
    connection.lrem(
        IntermediateQueue(Queue(QUEUE_NAME, connection=connection).key, connection).key, 0, job_id
    )
