"""Snapshots of the database that fit the uploads beside it, while the site is being used.

Files are written before their rows and removed after them (`app.uploads.storage`). So a moment at which no
row can change is the moment to list the files, and to begin the transaction that the snapshot is read from;
that moment is short, and reading the snapshot afterwards holds nobody up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from psycopg import conninfo
from sqlalchemy.exc import SQLAlchemyError

from app.backup.archive import POSTGRES, SQLITE, BackupError
from app.extensions import db
from app.transactions import BUSY_TIMEOUT, WRITING

UPLOADS = "uploads"
INSTALL = "install it: apt-get install postgresql-client"


def kind() -> str:
    """Return the name that this database's snapshot has in a backup."""
    return SQLITE if db.engine.dialect.name == "sqlite" else POSTGRES


@contextlib.contextmanager
def frozen(at_rest: Callable[[], None]) -> Iterator[sa.Connection]:
    """Yield a connection that sees one moment, however long it is read.

    Parameters
    ----------
    at_rest : callable
        Called at that moment, while every writer waits.

    Raises
    ------
    BackupError
        The database cannot be used, or is kept busy.
    """
    sqlite = kind() == SQLITE
    isolation = {} if sqlite else {"isolation_level": "REPEATABLE READ"}
    try:
        with db.engine.connect().execution_options(**isolation) as connection:
            with db.engine.connect().execution_options(**{WRITING: True}) as writers, writers.begin():
                if not sqlite:
                    writers.execute(sa.text(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT}s'"))
                    writers.execute(sa.text(f"LOCK TABLE {UPLOADS} IN SHARE MODE"))
                at_rest()
                connection.execute(sa.text(f"SELECT count(*) FROM {UPLOADS}"))  # noqa: S608 - a constant
            yield connection
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise BackupError(f"the database cannot be used ({reason}); see: flask doctor") from error


def dump(connection: sa.Connection, target: Path) -> None:
    """Write what `connection` sees to `target`."""
    if kind() == SQLITE:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            source: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        _check_sqlite(target)
        return
    snapshot = connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()
    _run("pg_dump", f"--snapshot={snapshot}", "--format=custom", f"--file={target}")


def check_empty() -> None:
    """Refuse to restore over a database that holds something.

    Raises
    ------
    BackupError
        It has tables, or cannot be reached.
    """
    if kind() == SQLITE:
        if (path := _sqlite_path()).exists():
            raise BackupError(f"{path} exists already; choose another with DATABASE_URL or DATA_DIR")
        return
    try:
        tables = sa.inspect(db.engine).get_table_names()
    except SQLAlchemyError as error:
        raise BackupError(
            f"the database cannot be reached ({type(error).__name__}); see DATABASE_URL"
        ) from error
    if tables:
        raise BackupError("the database is not empty; make a new one (createdb) and name it in DATABASE_URL")


def load(source: Path) -> None:
    """Make the database, which `check_empty` has looked at, what the snapshot at `source` holds."""
    if kind() == POSTGRES:
        _run("pg_restore", "--exit-on-error", "--single-transaction", "--no-privileges", str(source))
        return
    _check_sqlite(source)
    path = _sqlite_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, path)


def _sqlite_path() -> Path:
    name = db.engine.url.database
    if not name or name.startswith("file:"):
        raise BackupError("DATABASE_URL must name a file to restore to: sqlite:////path/vitrine.db")
    return Path(name)


def _check_sqlite(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path)) as copy:
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise BackupError(f"the copy of the database is damaged ({verdict})")


def _run(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL on our database; the password goes by the environment, not by the list of
    processes.
    """
    if shutil.which(program) is None:
        raise BackupError(f"{program} was not found, which backs up PostgreSQL; {INSTALL}")
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    parameters = conninfo.conninfo_to_dict(address)
    password = parameters.pop("password", None)
    environ = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    command = [program, "--no-owner", "--no-password", f"--dbname={conninfo.make_conninfo('', **parameters)}"]
    done = subprocess.run([*command, *arguments], env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[0]
        raise BackupError(f"{program} failed: {reason.removeprefix(f'{program}: ')}")
