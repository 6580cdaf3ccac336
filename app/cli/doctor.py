"""``flask doctor``: look at every part, and say how to mend what is broken."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from redis.exceptions import RedisError

from app import queue
from app.context import settings
from app.database import RECONCILER, Lease
from app.encoder import encoder_in_use
from app.extensions import db
from app.health import checks
from app.redis_policy import eviction_problem
from app.transactions import transaction
from config import BUNDLED_MODEL
from model.errors import VitrineError
from model.version import version

LOW_DISK_MB = 500
SAFE_SQLITE = (3, 51, 3)


class Level(StrEnum):
    """How bad it is; only `BROKEN` makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "BROKEN"


class Finding(NamedTuple):
    """What a look at one part found."""

    level: Level
    part: str
    text: str


def program() -> Iterator[Finding]:
    """Which version runs, on which Python."""
    yield Finding(Level.OK, "vitrine", f"{version()}, Python {platform.python_version()}")


def disk() -> Iterator[Finding]:
    """There is room, and it can be written."""
    directory = settings().data_dir
    free = shutil.disk_usage(directory).free >> 20
    level = Level.OK if free >= LOW_DISK_MB else Level.WARNING
    yield Finding(
        level, "disk", f"{directory} has {free} MB left{'' if level is Level.OK else '; make room'}"
    )


def database() -> Iterator[Finding]:
    """The database answers, has this version's tables, and takes a write."""
    answers = checks.database()
    yield _from_check("database", answers, "; look at DATABASE_URL: does its server run?")
    if not answers.ok:
        return
    migrated = checks.migrations()
    yield _from_check("migrations", migrated)
    if migrated.ok:
        yield _written()
    if db.engine.dialect.name == "sqlite" and sqlite3.sqlite_version_info < SAFE_SQLITE:
        yield Finding(
            Level.WARNING,
            "sqlite",
            f"{sqlite3.sqlite_version} can damage a database that several processes write (the WAL-reset bug,"
            f" gone in {'.'.join(map(str, SAFE_SQLITE))}): use a Python with a newer SQLite, or PostgreSQL",
        )


def redis() -> Iterator[Finding]:
    """Redis answers, keeps what it is given, and a worker listens."""
    try:
        problem = eviction_problem(queue.connection())
    except (RedisError, OSError):
        yield Finding(
            Level.BROKEN, "redis", "no answer; start it and look at REDIS_URL (make run starts its own)"
        )
        return
    yield Finding(Level.BROKEN if problem else Level.OK, "redis", problem or "answers, and drops no jobs")
    listening = queue.searchers() or 0
    mend = "; start one: python -m worker (make run does)"
    yield Finding(
        Level.OK if listening else Level.BROKEN, "worker", f"{listening} listening{'' if listening else mend}"
    )


def model_and_index() -> Iterator[Finding]:
    """Weights can be read, the index is sound and made with them, and its pictures are there."""
    try:
        encoder = encoder_in_use()
    except (VitrineError, OSError) as error:
        fetch = "" if settings().model == BUNDLED_MODEL else f"; run: flask model fetch {settings().model}"
        yield Finding(Level.BROKEN, "weights", f"{error}{fetch}")
        return
    yield Finding(Level.OK, "weights", f"{encoder.name}, D = {encoder.dim}")
    from gallery.store import Store

    try:
        with Store.open(settings().index_dir, expected=encoder.fingerprint) as store:
            manifest = store.catalog.manifest
            yield Finding(Level.OK, "index", f"{len(store)} pictures, generation {store.generation}")
    except VitrineError as error:
        yield Finding(Level.BROKEN, "index", str(error))
        return
    if not Path(manifest.root).is_dir():
        yield Finding(Level.WARNING, "gallery", f"{manifest.root} is not there; its pictures show as missing")


LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (program, disk, database, redis, model_and_index)


@click.command("doctor")
@with_appcontext
def doctor() -> None:
    """Check Redis, database, migrations, weights, index and disk, and say how to mend each."""
    findings = [finding for look in LOOKS for finding in look()]
    for finding in findings:
        click.echo(f"{finding.level:<8} {finding.part:<11} {finding.text}")
    if any(finding.level is Level.BROKEN for finding in findings):
        sys.exit(1)


def _from_check(part: str, check: checks.Check, mend: str = "") -> Finding:
    level = Level.OK if check.ok else Level.BROKEN
    return Finding(level, part, check.detail if check.ok else check.detail + mend)


def _written() -> Finding:
    try:
        with transaction() as session:
            session.execute(sa.update(Lease).where(Lease.name == RECONCILER).values(holder=Lease.holder))
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error))
        return Finding(Level.BROKEN, "writing", f"the database refuses ({reason}); check rights and disk")
    return Finding(Level.OK, "writing", "the database takes it")
