"""What strikes an installation: each fault a function of the stage and of the blow that chance has drawn."""

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

from tests.campaigns.chaos.stage import Stage, children, wait_for
from tests.support.postgres import cut

PATIENCE = 30.0  # seconds to wait for something to strike
MID_SEARCH = 0.15  # seconds; a blow comes so far into a search at most
FILLING = 0.02  # seconds between two looks for a free byte

T = TypeVar("T")


class MissedError(Exception):
    """There was nothing to strike."""


@dataclass
class Blow:
    """One fault: which, when (seconds from the beginning), for how long, and the chance of its own."""

    number: int
    fault: str
    at: float
    seconds: float
    chance: float
    struck: float = 0.0  # seconds since 1970; 0 where there was nothing to strike
    ended: float = 0.0


def _target(ask: Callable[[], T | None]) -> T:
    found = wait_for(ask, PATIENCE)
    if not found:
        raise MissedError
    return found


def _signal(blow: Blow, number: signal.Signals, *pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it was quicker
            os.kill(pid, number)
            blow.struck = blow.struck or time.time()


def _one(blow: Blow, of: list[T]) -> T:
    return of[int(blow.chance * len(of))]


def _in_mid_search(stage: Stage, blow: Blow, strike: Callable[[int, int], None]) -> None:
    """Strike a searcher and its child as far into a search as chance has it, sooner if that is too late."""
    wait, until = blow.chance * MID_SEARCH, time.monotonic() + PATIENCE
    while not blow.struck and time.monotonic() < until:
        searcher, child = _one(blow, _target(stage.searching))
        time.sleep(wait)
        if child in children(searcher):
            strike(searcher, child)
        wait /= 2


def _stopped(blow: Blow, *pids: int) -> None:
    _signal(blow, signal.SIGSTOP, *pids)
    time.sleep(blow.seconds)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def supervisor_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL the worker's parent process."""
    _target(lambda: stage.worker.alive() and stage.searchers())
    _signal(blow, signal.SIGKILL, stage.worker.pid)


def worker_told_to_stop(stage: Stage, blow: Blow) -> None:
    """SIGTERM the worker, as a deploy does."""
    _target(lambda: stage.worker.alive() and stage.searchers())
    _signal(blow, signal.SIGTERM, stage.worker.pid)


def searcher_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL a searcher, whatever it does."""
    _signal(blow, signal.SIGKILL, _one(blow, _target(stage.searchers)))


def child_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL the process that carries out a search."""
    _in_mid_search(stage, blow, lambda _, child: _signal(blow, signal.SIGKILL, child))


def both_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL a searcher and the process that it has forked."""
    _in_mid_search(stage, blow, lambda *both: _signal(blow, signal.SIGKILL, *both))


def both_stalled(stage: Stage, blow: Blow) -> None:
    """Stop a searcher and its child as a machine that stalls: they wake late and know nothing of it."""
    _in_mid_search(stage, blow, lambda *both: _stopped(blow, *both))


def reconciler_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL the reconciler."""
    _signal(blow, signal.SIGKILL, _target(stage.reconciler))


def web_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL the web process."""
    _target(stage.web.alive)
    _signal(blow, signal.SIGKILL, stage.web.pid)


def web_stalled(stage: Stage, blow: Blow) -> None:
    """Stop the web process for a while."""
    _target(stage.web.alive)
    _stopped(blow, stage.web.pid)


def redis_killed(stage: Stage, blow: Blow) -> None:
    """SIGKILL Redis; the keeper starts it with the append-only file as it was left."""
    _target(lambda: stage.redis.alive() and _redis_says(stage, lambda client: client.ping()))
    _signal(blow, signal.SIGKILL, stage.redis.pid)


def redis_hung(stage: Stage, blow: Blow) -> None:
    """Stop Redis for a while."""
    _target(stage.redis.alive)
    _stopped(blow, stage.redis.pid)


def redis_emptied(stage: Stage, blow: Blow) -> None:
    """Take everything out of Redis."""
    _target(lambda: _redis_says(stage, lambda client: client.flushall()))
    blow.struck = time.time()


def redis_full(stage: Stage, blow: Blow) -> None:
    """Let Redis refuse whatever takes memory."""
    _target(lambda: _redis_says(stage, lambda client: client.config_set("maxmemory", 1)))
    blow.struck = time.time()
    time.sleep(blow.seconds)
    while not _redis_says(stage, lambda client: client.config_set("maxmemory", 0)):
        time.sleep(FILLING)


def _redis_says(stage: Stage, ask: Callable[[redis.Redis], object]) -> bool:
    """Whether Redis did it; False where it is away or hangs."""
    client = stage.redis.client()
    try:
        return bool(ask(client))
    except redis.RedisError:
        return False
    finally:
        client.close()


def database_held(stage: Stage, blow: Blow) -> None:
    """Hold the lock that every writer needs."""
    url = sa.make_url(stage.settings.database_url)
    if url.get_backend_name() == "sqlite":
        with contextlib.closing(sqlite3.connect(str(url.database), timeout=PATIENCE)) as held:
            held.isolation_level = None
            held.execute("BEGIN IMMEDIATE")
            blow.struck = time.time()
            time.sleep(blow.seconds)
            held.execute("ROLLBACK")
        return
    while not blow.struck:
        with (
            contextlib.suppress(psycopg.OperationalError),  # cut by another fault, perhaps
            contextlib.closing(_target(lambda: _connected(stage))) as connection,
        ):
            connection.execute("LOCK TABLE searches IN ACCESS EXCLUSIVE MODE")
            blow.struck = time.time()
            time.sleep(blow.seconds)


def connections_cut(stage: Stage, blow: Blow) -> None:
    """Let PostgreSQL end every connection again and again."""
    until = time.monotonic() + blow.seconds
    while time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):  # another such fault was quicker
            cut(_postgres(stage))
            blow.struck = blow.struck or time.time()
        time.sleep(blow.chance / 2)


def database_crashed(stage: Stage, blow: Blow) -> None:
    """SIGKILL one of PostgreSQL's processes: the server ends all others and recovers from its log."""
    with contextlib.closing(_target(lambda: _connected(stage))) as connection:
        _signal(blow, signal.SIGKILL, connection.info.backend_pid)


def _connected(stage: Stage) -> psycopg.Connection | None:
    with contextlib.suppress(psycopg.OperationalError):
        return psycopg.connect(_postgres(stage))
    return None


def _postgres(stage: Stage) -> str:
    return stage.settings.database_url.replace("+psycopg", "")


def uploads_disk_full(stage: Stage, blow: Blow) -> None:
    """Leave not a byte where the pictures lie."""
    _fill(stage.uploads, blow)


def data_disk_full(stage: Stage, blow: Blow) -> None:
    """Leave not a byte where database, index and Redis lie."""
    _fill(stage.data, blow)


def _fill(folder: Path, blow: Blow) -> None:
    filler = folder / f"filler-{blow.number}"
    until = time.monotonic() + blow.seconds
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            _write_until_full(file.fileno(), size)
        blow.struck = time.time()
        while time.monotonic() < until:
            _write_until_full(file.fileno(), 4096)
            time.sleep(FILLING)
    filler.unlink()


def _write_until_full(descriptor: int, size: int) -> None:
    with contextlib.suppress(OSError):
        while os.write(descriptor, bytes(size)) == size:
            pass


_indexing = threading.Lock()


def index_swapped(stage: Stage, blow: Blow) -> None:
    """Index the gallery: another generation, with the same pictures."""
    with _indexing:
        blow.struck = time.time()
        while not stage.index():  # the disk is full: its owner tries again
            time.sleep(1.0)
