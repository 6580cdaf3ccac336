"""The worker's parent process: starts reconciler and searchers, restarts those that die, and stops them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from types import FrameType

from redis.exceptions import RedisError

from app.redis_policy import eviction_problem
from worker import outages, reconciler
from worker.connection import connect
from worker.runtime import Runtime, use
from worker.searcher import KILL_GRACE, SearchWorker

TICK = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds until a process that died is restarted
STABLE_SECONDS = 30.0  # a process that ran this long is healthy, and its next death counts as the first
REDIS_PAUSE = 1.0
FORCED_STOP_SECONDS = 2.0  # from the second signal until SIGKILL
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


@dataclass
class Role:
    """One process that has to run, with its state."""

    name: str
    target: Callable[[], None]
    needs_redis: bool
    process: ForkProcess | None = None
    started: float = 0.0
    not_before: float = 0.0
    deaths: int = 0

    def died(self, now: float) -> None:
        """Record a death and set the time of the restart: each death soon after a start doubles the pause."""
        self.deaths = 1 if now - self.started > STABLE_SECONDS else self.deaths + 1
        self.not_before = now + min(FIRST_PAUSE * 2 ** (self.deaths - 1), LONGEST_PAUSE)
        self.process = None


class Supervisor:
    """Keeps one reconciler and `WORKERS` searchers running.

    The first SIGTERM or SIGINT lets current searches finish; the second returns them to the queue and stops
    at once.

    Parameters
    ----------
    runtime : Runtime
        Loaded weights and index, which the forked processes share.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._redis = connect(self._settings.redis_url)
        self._redis_checked, self._redis_available = float("-inf"), True
        self._outage, self._outage_checked, self._outage_pause = "", float("-inf"), FIRST_PAUSE
        self._signals = 0
        self._signals_handled = 0
        self._deadline = float("inf")
        self._status = 0
        self._roles = [Role("reconciler", lambda: _reconcile(runtime), needs_redis=False)]
        self._roles += [
            Role(f"searcher-{number}", lambda: _search(runtime), needs_redis=True)
            for number in range(1, self._settings.workers + 1)
        ]

    def run(self) -> int:
        """Supervise until a signal comes; return the exit status."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        while True:
            self._reap()
            if self._signals > self._signals_handled:
                self._stop()
            if self._signals_handled and not any(role.process for role in self._roles):
                log.info("worker stopped")
                return self._status
            if time.monotonic() > self._deadline:
                self._end(signal.SIGKILL)
            if not self._signals_handled:
                self._start_missing()
            time.sleep(TICK)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _stop(self) -> None:
        first = self._signals_handled == 0
        patience = self._settings.job_timeout + 2 * KILL_GRACE if first else FORCED_STOP_SECONDS
        self._signals_handled += 1
        self._deadline = time.monotonic() + patience
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        for role in self._roles:
            if role.process is not None and role.process.pid is not None and role.process.is_alive():
                (role.process.kill if number is signal.SIGKILL else role.process.terminate)()

    def _reap(self) -> None:
        for role in self._roles:
            if role.process is not None and not role.process.is_alive():
                status = role.process.exitcode
                role.died(time.monotonic())
                if status == outages.STATUS:
                    self._outage = self._outage or "a search met one"
                elif not self._signals_handled:
                    log.warning("process ended", extra={"role": role.name, "status": status})

    def _start_missing(self) -> None:
        now = time.monotonic()
        missing = [role for role in self._roles if role.process is None and now >= role.not_before]
        if any(role.needs_redis for role in missing) and not self._redis_ready(now):
            missing = [role for role in missing if not role.needs_redis]
        if self._outage and any(role.needs_redis for role in missing) and not self._outage_over(now):
            missing = [role for role in missing if not role.needs_redis]
        if not missing or self._signals_handled:
            return
        self._runtime.refresh()
        for role in missing:
            role.started = time.monotonic()
            role.process = _fork(role)
        self._runtime.close()

    def _outage_over(self, now: float) -> bool:
        """Check disk and database, with growing pauses; log only changes."""
        if now - self._outage_checked < self._outage_pause:
            return False
        found = outages.problem(self._runtime.app)
        self._outage_checked = time.monotonic()
        if not found:
            log.warning("the outage is over: searches continue")
            self._outage, self._outage_pause = "", FIRST_PAUSE
            return True
        if found != self._outage:
            log.error("searches pause: %s", found)
        self._outage, self._outage_pause = found, min(2 * self._outage_pause, LONGEST_PAUSE)
        return False

    def _redis_ready(self, now: float) -> bool:
        """Check Redis at most once per `REDIS_PAUSE` seconds; log only changes."""
        if now - self._redis_checked < REDIS_PAUSE:
            return False
        self._redis_checked = now
        try:
            problem = eviction_problem(self._redis)
        except (RedisError, OSError) as error:
            if self._redis_available:
                log.error("redis is not available; waiting for it", extra={"error": type(error).__name__})
            self._redis_available = False
            return False
        if problem:
            log.error("%s", problem)
            self._status, self._signals = 1, self._signals + 1
            return False
        self._redis_available = True
        return True


def _fork(role: Role) -> ForkProcess:
    """Fork with signals blocked, so that none is lost before the child has set its own handlers."""
    process = multiprocessing.get_context("fork").Process(target=_run_role, args=(role,), name=role.name)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return process


def _run_role(role: Role) -> None:
    """Run in the child: leave the terminal's process group, whose Ctrl-C is for the supervisor, and work."""
    os.setpgrp()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    role.target()


def _reconcile(runtime: Runtime) -> None:
    """Run the reconciler until SIGTERM."""
    runtime.close()
    reconciler.run(runtime.app)


def _search(runtime: Runtime) -> None:
    """Run a searcher until SIGTERM, or until Redis becomes unavailable."""
    use(runtime)
    try:
        SearchWorker(runtime).work(logging_level="WARNING")
        if runtime.slot.met_outage():
            sys.exit(outages.STATUS)
    except RedisError as error:
        log.warning("redis is not available", extra={"error": type(error).__name__})
        sys.exit(75)
