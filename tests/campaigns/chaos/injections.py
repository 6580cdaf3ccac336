"""The faults: each a function of the deployment and of the injection that the plan has drawn."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
import redis
import sqlalchemy as sa

from tests.campaigns.chaos.deployment import Deployment, children, wait_for
from tests.support.postgres import cut

PATIENCE = 30.0  # seconds to wait for a target
MID_SEARCH = 0.15  # seconds; a fault hits at most this far into a search
FILLING = 0.02  # seconds between two attempts to fill the disk

T = TypeVar("T")


class NoTargetError(Exception):
    """No target for a fault was found in time."""


@dataclass
class Injection:
    """One fault: which, when (seconds from the start), for how long, and a random number to vary it."""

    number: int
    fault: str
    at: float
    seconds: float
    chance: float
    injected: float = 0.0  # seconds since 1970; 0 where no target was found
    ended: float = 0.0


def _target(ask: Callable[[], T | None]) -> T:
    found = wait_for(ask, PATIENCE)
    if not found:
        raise NoTargetError
    return found


def _signal(injection: Injection, number: signal.Signals, *pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # already gone
            os.kill(pid, number)
            injection.injected = injection.injected or time.time()


def _one(injection: Injection, of: list[T]) -> T:
    return of[int(injection.chance * len(of))]


def _in_mid_search(deployment: Deployment, injection: Injection, inject: Callable[[int, int], None]) -> None:
    """Hit a searcher and its child in the middle of a search, sooner where the last one ended first."""
    wait, until = injection.chance * MID_SEARCH, time.monotonic() + PATIENCE
    while not injection.injected and time.monotonic() < until:
        searcher, child = _one(injection, _target(deployment.searching))
        time.sleep(wait)
        if child in children(searcher):
            inject(searcher, child)
        wait /= 2


def _stopped(injection: Injection, *pids: int) -> None:
    _signal(injection, signal.SIGSTOP, *pids)
    time.sleep(injection.seconds)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def supervisor_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL the worker's parent process."""
    _target(lambda: deployment.worker.alive() and deployment.searchers())
    _signal(injection, signal.SIGKILL, deployment.worker.pid)


def worker_told_to_stop(deployment: Deployment, injection: Injection) -> None:
    """SIGTERM the worker, as a deployment does."""
    _target(lambda: deployment.worker.alive() and deployment.searchers())
    _signal(injection, signal.SIGTERM, deployment.worker.pid)


def searcher_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL a searcher, busy or idle."""
    _signal(injection, signal.SIGKILL, _one(injection, _target(deployment.searchers)))


def child_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL the process that carries out a search."""
    _in_mid_search(deployment, injection, lambda _, child: _signal(injection, signal.SIGKILL, child))


def both_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL a searcher and the process that it has forked."""
    _in_mid_search(deployment, injection, lambda *both: _signal(injection, signal.SIGKILL, *both))


def both_stalled(deployment: Deployment, injection: Injection) -> None:
    """Stop a searcher and its child, as a stalled machine does: they resume late, unaware of it."""
    _in_mid_search(deployment, injection, lambda *both: _stopped(injection, *both))


def reconciler_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL the reconciler."""
    _signal(injection, signal.SIGKILL, _target(deployment.reconciler))


def web_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL the web process."""
    _target(deployment.web.alive)
    _signal(injection, signal.SIGKILL, deployment.web.pid)


def web_stalled(deployment: Deployment, injection: Injection) -> None:
    """Stop the web process for a while."""
    _target(deployment.web.alive)
    _stopped(injection, deployment.web.pid)


def redis_killed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL Redis; the service manager starts it with the append-only file as it was left."""
    _target(lambda: deployment.redis.alive() and _redis_says(deployment, lambda client: client.ping()))
    _signal(injection, signal.SIGKILL, deployment.redis.pid)


def redis_hung(deployment: Deployment, injection: Injection) -> None:
    """Stop Redis for a while."""
    _target(deployment.redis.alive)
    _stopped(injection, deployment.redis.pid)


def redis_emptied(deployment: Deployment, injection: Injection) -> None:
    """Delete everything in Redis."""
    _target(lambda: _redis_says(deployment, lambda client: client.flushall()))
    injection.injected = time.time()


def redis_full(deployment: Deployment, injection: Injection) -> None:
    """Make Redis refuse every command that needs memory."""
    _target(lambda: _redis_says(deployment, lambda client: client.config_set("maxmemory", 1)))
    injection.injected = time.time()
    time.sleep(injection.seconds)
    while not _redis_says(deployment, lambda client: client.config_set("maxmemory", 0)):
        time.sleep(FILLING)


def _redis_says(deployment: Deployment, ask: Callable[[redis.Redis], object]) -> bool:
    """Return whether Redis did it; False where it is down or hangs."""
    client = deployment.redis.client()
    try:
        return bool(ask(client))
    except redis.RedisError:
        return False
    finally:
        client.close()


def database_held(deployment: Deployment, injection: Injection) -> None:
    """Hold the lock that every writer needs."""
    url = sa.make_url(deployment.settings.database_url)
    if url.get_backend_name() == "sqlite":
        with contextlib.closing(sqlite3.connect(str(url.database), timeout=PATIENCE)) as held:
            held.isolation_level = None
            held.execute("BEGIN IMMEDIATE")
            injection.injected = time.time()
            time.sleep(injection.seconds)
            held.execute("ROLLBACK")
        return
    while not injection.injected:
        with (
            contextlib.suppress(psycopg.OperationalError),  # cut by another fault, perhaps
            contextlib.closing(_target(lambda: _connected(deployment))) as connection,
        ):
            connection.execute("LOCK TABLE searches IN ACCESS EXCLUSIVE MODE")
            injection.injected = time.time()
            time.sleep(injection.seconds)


def connections_cut(deployment: Deployment, injection: Injection) -> None:
    """Let PostgreSQL end every connection again and again."""
    until = time.monotonic() + injection.seconds
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):  # cut by another fault of this kind
            cut(_postgres(deployment))
            injection.injected = injection.injected or time.time()
        time.sleep(injection.chance / 2)


def database_crashed(deployment: Deployment, injection: Injection) -> None:
    """SIGKILL one of PostgreSQL's processes: the server ends all others and recovers from its log."""
    with contextlib.closing(_target(lambda: _connected(deployment))) as connection:
        _signal(injection, signal.SIGKILL, connection.info.backend_pid)


def _connected(deployment: Deployment) -> psycopg.Connection | None:
    with contextlib.suppress(psycopg.OperationalError):
        return psycopg.connect(_postgres(deployment))
    return None


def _postgres(deployment: Deployment) -> str:
    return deployment.settings.database_url.replace("+psycopg", "")


def uploads_disk_full(deployment: Deployment, injection: Injection) -> None:
    """Fill the disk of the pictures."""
    _fill(deployment.uploads, injection)


def data_disk_full(deployment: Deployment, injection: Injection) -> None:
    """Fill the disk of database, index and Redis."""
    _fill(deployment.data, injection)


def _fill(folder: Path, injection: Injection) -> None:
    filler = folder / f"filler-{injection.number}"
    until = time.monotonic() + injection.seconds
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            _write_until_full(file.fileno(), size)
        injection.injected = time.time()
        while time.monotonic() < until:
            _write_until_full(file.fileno(), 4096)
            time.sleep(FILLING)
    filler.unlink()


def _write_until_full(descriptor: int, size: int) -> None:
    with contextlib.suppress(OSError):
        while os.write(descriptor, bytes(size)) == size:
            pass


_indexing = threading.Lock()


def index_swapped(deployment: Deployment, injection: Injection) -> None:
    """Index the gallery again: another generation with the same pictures."""
    with _indexing:
        injection.injected = time.time()
        while not deployment.index():  # the disk is full: an operator would try again
            time.sleep(1.0)
