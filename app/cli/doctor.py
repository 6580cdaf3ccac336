"""``flask doctor``: checks every part of an installation and says how to fix what is broken."""

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

from app import pairing, queue, temporary
from app.context import settings
from app.database import RECONCILER, Lease, database_now, utcnow
from app.encoder import encoder_in_use
from app.extensions import db
from app.health import checks
from app.redis_policy import eviction_problem
from app.transactions import transaction
from config import BUNDLED_MODEL
from model.errors import VitrineError
from model.version import version

LOW_DISK_MB = 500
CLOCK_TOLERANCE = 5.0  # seconds
SAFE_SQLITE = (3, 51, 3)


class Level(StrEnum):
    """Severity of a finding; only `BROKEN` makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "BROKEN"


class Finding(NamedTuple):
    """The result of checking one part."""

    level: Level
    part: str
    text: str


def program() -> Iterator[Finding]:
    """Which version runs, on which Python."""
    yield Finding(Level.OK, "vitrine", f"{version()}, Python {platform.python_version()}")


def disk() -> Iterator[Finding]:
    """Check the free space of the data directory."""
    directory = settings().data_dir
    free = shutil.disk_usage(directory).free >> 20
    level = Level.OK if free >= LOW_DISK_MB else Level.WARNING
    yield Finding(
        level, "disk", f"{directory} has {free} MB free{'' if level is Level.OK else '; free some space'}"
    )


def temporary_files() -> Iterator[Finding]:
    """Check that uploads can be written while they are received."""
    directory, problem = settings().temporary_dir, temporary.problem(settings())
    if problem:
        yield Finding(
            Level.BROKEN,
            "temporary",
            f"{directory} cannot be written ({problem}); check permissions and disk",
        )
    else:
        yield Finding(Level.OK, "temporary", f"{directory} is writable")


def database() -> Iterator[Finding]:
    """Check that the database answers, has the tables of this version, and accepts writes."""
    answers = checks.database()
    yield _from_check("database", answers, "; check DATABASE_URL and that its server is running")
    if not answers.ok:
        return
    migrated = checks.migrations()
    yield _from_check("migrations", migrated)
    if migrated.ok:
        yield _written()
        yield _paired()
    if db.engine.dialect.name == "sqlite" and sqlite3.sqlite_version_info < SAFE_SQLITE:
        yield Finding(
            Level.WARNING,
            "sqlite",
            f"{sqlite3.sqlite_version} can damage a database with several writers (WAL-reset bug, fixed in"
            f" {'.'.join(map(str, SAFE_SQLITE))}): use a Python with a newer SQLite, or PostgreSQL",
        )


def clocks() -> Iterator[Finding]:
    """Compare this machine's clock with those of the database and of Redis."""
    try:
        with transaction() as session:
            ahead = {"the database": (utcnow() - database_now(session)).total_seconds()}
        seconds, microseconds = queue.connection().time()
        ahead["Redis"] = utcnow().timestamp() - seconds - microseconds / 1e6
    except (sa.exc.SQLAlchemyError, RedisError, OSError):
        return  # reported by the checks of database and Redis
    for part, difference in ahead.items():
        fine = abs(difference) < CLOCK_TOLERANCE
        fix = "" if fine else "; synchronize the machines' clocks (NTP, chrony)"
        text = f"{abs(difference):.1f} s {'ahead of' if difference >= 0 else 'behind'} {part}{fix}"
        yield Finding(Level.OK if fine else Level.WARNING, "clock", text)


def redis() -> Iterator[Finding]:
    """Check that Redis answers and does not evict, and that a worker is running."""
    try:
        problem = eviction_problem(queue.connection())
    except (RedisError, OSError):
        yield Finding(
            Level.BROKEN, "redis", "no answer; start it and check REDIS_URL (make run starts its own)"
        )
        return
    yield Finding(Level.BROKEN if problem else Level.OK, "redis", problem or "answers and does not drop jobs")
    listening = queue.searchers() or 0
    fix = "; start one: python -m worker (make run does)"
    yield Finding(
        Level.OK if listening else Level.BROKEN, "worker", f"{listening} running{'' if listening else fix}"
    )


def model_and_index() -> Iterator[Finding]:
    """Check that weights and index are readable and match, and that the gallery's folder exists."""
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
        yield Finding(
            Level.WARNING, "gallery", f"{manifest.root} does not exist; its pictures are shown as missing"
        )


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    program,
    disk,
    temporary_files,
    database,
    redis,
    clocks,
    model_and_index,
)


@click.command("doctor")
@with_appcontext
def doctor() -> None:
    """Check every part of the installation and say how to fix it.

    The parts are disk, temporary files, database, migrations, Redis, worker, weights, index and gallery.
    The exit status is 1 if one of them is broken.
    """
    findings = [finding for check in CHECKS for finding in check()]
    for finding in findings:
        click.echo(f"{finding.level:<8} {finding.part:<11} {finding.text}")
    if any(finding.level is Level.BROKEN for finding in findings):
        sys.exit(1)


def _from_check(part: str, check: checks.Check, fix: str = "") -> Finding:
    level = Level.OK if check.ok else Level.BROKEN
    return Finding(level, part, check.detail if check.ok else check.detail + fix)


def _paired() -> Finding:
    try:
        paired = pairing.known()
    except pairing.StrangerError as error:
        return Finding(Level.BROKEN, "pair", str(error))
    return Finding(
        Level.OK,
        "pair",
        "database and DATA_DIR belong together" if paired else "the first start pairs database and DATA_DIR",
    )


def _written() -> Finding:
    try:
        with transaction() as session:
            session.execute(sa.update(Lease).where(Lease.name == RECONCILER).values(holder=Lease.holder))
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error))
        return Finding(
            Level.BROKEN, "writing", f"the database refuses a write ({reason}); check permissions and disk"
        )
    return Finding(Level.OK, "writing", "the database accepts writes")
