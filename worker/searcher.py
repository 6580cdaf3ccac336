"""An RQ worker that takes searches from the queue and monitors the process that carries out each one.

RQ keeps its state in Redis; here the row in the database is the truth. While the forked process works, the
worker renews the row's lease. If the process dies, the search returns to the queue at once. If it overruns
even the alarm, in C code that delays signals, it is killed and the search fails. None of this needs Redis.

The names of RQ that this module overrides and calls are listed in `worker.rq_internals`.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from types import FrameType
from typing import Any, cast

import sqlalchemy as sa
from redis.exceptions import RedisError
from rq import Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker_registration import clean_worker_registry

from app.extensions import db
from app.queue import JOB_TTL, QUEUE_NAME
from worker import attempts
from worker.connection import connect
from worker.guard import SearchJob, SearchQueue
from worker.jobs import LEASE_SECONDS
from worker.limits import Deadline, limit_job
from worker.runtime import AttemptSlot, Runtime

HEARTBEAT = 3  # seconds between renewals of the lease, and between heartbeats to Redis
HEARTBEAT_TTL = 10  # seconds after which the job of a silent worker counts as abandoned
DEQUEUE_TIMEOUT = 2
WORKER_TTL = 20
GIVE_BACK_SECONDS = 60.0  # after an outage of the database; then the lease lapses, and the attempt counts
KILL_GRACE = 5  # seconds beyond the job's time limit until its process is killed

log = logging.getLogger(__name__)


class SearchWorker(Worker):
    """An RQ worker for searches only.

    Parameters
    ----------
    runtime : Runtime
        Passed on to the forked processes.
    """

    job_class = SearchJob
    queue_class = SearchQueue
    death_penalty_class = Deadline
    max_connection_wait_time = 2.0
    log_result_lifespan = False

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        runtime.slot = AttemptSlot()
        self._parent = os.getppid()
        self._forked = 0.0
        self._overran = False
        super().__init__(
            [QUEUE_NAME],
            connection=connect(runtime.settings.redis_url),
            worker_ttl=WORKER_TTL,
            job_monitoring_interval=HEARTBEAT,
            maintenance_interval=HEARTBEAT,
            serializer=JSONSerializer,
            log_job_description=False,
        )

    @property
    def dequeue_timeout(self) -> int:
        """Seconds that one request for a job blocks, and so the interval of the worker's loop."""
        return DEQUEUE_TIMEOUT

    @property
    def connection_timeout(self) -> int:
        """Seconds without an answer after which Redis counts as unavailable."""
        return DEQUEUE_TIMEOUT + 2

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return the seconds for which one heartbeat keeps a running job alive."""
        return HEARTBEAT_TTL

    def subscribe(self) -> None:
        """Accept no commands over Redis; only a signal stops a worker."""

    def set_shutdown_requested_date(self) -> None:
        """Do not write to Redis in a signal handler."""

    def run_maintenance_tasks(self) -> None:
        """Between jobs: stop if the supervisor has died, open a new index, purge stale RQ registries."""
        if os.getppid() != self._parent:
            raise StopRequested
        self.runtime.refresh()
        self._purge_registries()
        self.last_cleaned_at = now()  # type: ignore[assignment] # RQ's __init__ says None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Carry out a search in a forked process and make sure that its outcome is in its row."""
        job.timeout = self.runtime.settings.job_timeout
        self.runtime.slot.release()
        self.runtime.slot.report_outage(False)
        self._forked, self._overran = time.monotonic(), False
        try:
            super().execute_job(job, queue)
        except RedisError as error:
            log.warning("redis is not available", extra={"error": type(error).__name__})
            raise StopRequested from error
        finally:
            self._settle(job.id)
        if self.runtime.slot.met_outage():
            raise StopRequested  # the supervisor starts a searcher when the outage is over

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with the newest index and no open database connection: processes cannot share one."""
        self.runtime.refresh()
        with self.runtime.app.app_context():
            db.engine.dispose()
        super().fork_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """In the forked process: ignore signals sent to a whole process group; only SIGKILL ends it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """In the forked process: apply the limits, then search."""
        limit_job()
        return super().perform_job(job, queue, execution)

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """In the forked process: mark the job as started, and let it expire, which RQ would not."""
        super().prepare_job_execution(job, remove_from_intermediate_queue)
        self.connection.expire(job.key, JOB_TTL)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Every `HEARTBEAT` seconds: kill an overrunning job, or renew its lease and heartbeat."""
        if time.monotonic() - self._forked > self.runtime.settings.job_timeout + KILL_GRACE:
            log.warning("search overran and is killed", extra={"search": job.id})
            self._overran = True
            self.kill_horse()
            return
        self._renew(job.id)
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError as error:
            log.warning("redis is not available", extra={"error": type(error).__name__})

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """Delete the job from Redis; the row has its outcome."""
        self._forget(job, queue, execution)

    def handle_job_failure(
        self, job: Job, queue: Queue, *_: Any, execution: Execution | None = None, **__: Any
    ) -> None:
        """Delete the job from Redis; the row has its outcome."""
        self._forget(job, queue, execution)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log an error of RQ or the database without its message, which RQ would include."""
        log.error("job failed", extra={"search": job.id}, exc_info=exc_info)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """At the second signal: stop at once; the search returns to the queue."""
        if self.horse_pid:
            self.kill_horse()
            self.wait_for_horse()
        raise SystemExit(1)

    def _current_attempt(self, search_id: str) -> attempts.Attempt | None:
        number = self.runtime.slot.held()
        return attempts.Attempt(uuid.UUID(search_id), number, LEASE_SECONDS) if number else None

    def _renew(self, search_id: str) -> None:
        if attempt := self._current_attempt(search_id):
            try:
                with self.runtime.app.app_context():
                    attempts.renew(attempt)
            except sa.exc.SQLAlchemyError as error:  # the lease outlasts this: the next heartbeat tries again
                log.warning("lease was not renewed", extra={"error": type(error).__name__})

    def _settle(self, search_id: str) -> None:
        """Record the outcome if the forked process died before it could."""
        attempt = self._current_attempt(search_id)
        if attempt is None:
            return
        if self.runtime.slot.met_outage():
            self._give_back(attempt)
            return
        try:
            with self.runtime.app.app_context():
                if self._overran:
                    attempts.fail(attempt, "timeout")
                else:
                    attempts.retry_later(attempt)
        except sa.exc.SQLAlchemyError as error:  # the lease lapses, and the reconciler does the same
            log.warning("search was not returned to the queue", extra={"error": type(error).__name__})

    def _give_back(self, attempt: attempts.Attempt) -> None:
        """Return the search to the queue when the database can be written; the attempt does not count."""
        until, pause = time.monotonic() + GIVE_BACK_SECONDS, 0.5
        while time.monotonic() < until and os.getppid() == self._parent:
            try:
                with self.runtime.app.app_context():
                    attempts.give_back(attempt)
            except sa.exc.SQLAlchemyError:
                time.sleep(pause)
                pause = min(2 * pause, 4.0)
            else:
                return
        log.warning("search was not returned to the queue", extra={"search": str(attempt.search_id)})

    def _forget(self, job: Job, queue: Queue, execution: Execution | None) -> None:
        taken = IntermediateQueue(queue.key, self.connection)
        with self.connection.pipeline() as pipeline:
            self.cleanup_execution(job, pipeline=pipeline, execution=execution)
            pipeline.delete(job.key, job.execution_registry.key)
            pipeline.lrem(taken.key, 0, job.id)
            pipeline.execute()

    def _purge_registries(self) -> None:
        """Remove jobs and workers without a recent heartbeat; RQ's own clean-up would parse each job."""
        for queue in self.queues:
            started, taken = queue.started_job_registry, IntermediateQueue(queue.key, self.connection)
            self.connection.zremrangebyscore(started.key, 0, time.time())
            for job_id in cast(list[bytes], self.connection.lrange(taken.key, 0, -1)):
                if not self.connection.exists(Job.key_for(job_id.decode(errors="replace"))):
                    self.connection.lrem(taken.key, 0, job_id)  # type: ignore[arg-type] # bytes are accepted
            clean_worker_registry(queue)
