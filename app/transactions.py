"""Database access: engine options, and `transaction`, through which every write goes.

Reads need no preparation: the session begins a read transaction and the end of the request closes it. On
SQLite, a transaction that first reads and then writes fails at once with "database is locked" if another
connection has written in between, whatever the timeout. `transaction` takes the write lock first and so waits
for it.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.extensions import db
from config import Settings

BUSY_TIMEOUT = 10  # seconds to wait for SQLite's write lock
BUSY_PAUSE = 0.02  # seconds between attempts where SQLite does not wait itself
CONNECT_TIMEOUT = 3  # seconds to wait for PostgreSQL
POOL_TIMEOUT = 5  # seconds to wait for a connection that another thread is using
WRITING = "vitrine_writing"

log = logging.getLogger(__name__)


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the options of the engine; parameters, such as names of pictures, are kept out of errors."""
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": settings.web_threads + 2,
        "max_overflow": 2,
        "pool_timeout": POOL_TIMEOUT,
    }
    if sa.make_url(settings.database_url).get_backend_name() == "sqlite":
        return options | {"connect_args": {"timeout": BUSY_TIMEOUT}}
    return options | {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_TIMEOUT}}


def init_app(app: Flask) -> None:
    """End read transactions with their context, and configure SQLite connections: WAL, foreign keys, and
    transactions that SQLAlchemy begins instead of the driver.
    """
    app.teardown_appcontext(_end_reading)
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)


@contextmanager
def transaction() -> Iterator[Session]:
    """Run a short write transaction: committed at the end, rolled back on an error.

    An open read transaction is ended first, so that nothing that is read inside is older than the write lock.
    """
    session = db.session()
    if session.in_transaction() and session.connection().get_execution_options().get(WRITING):
        raise RuntimeError("transactions do not nest")
    session.rollback()
    session.connection(execution_options={WRITING: True})
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise


def _end_reading(_error: BaseException | None) -> None:
    """End the read transaction before Flask-SQLAlchemy does, which would turn a finished response into an
    error if the server has closed the connection.
    """
    try:
        db.session.remove()
    except OperationalError as error:
        log.warning("database connection lost after use", extra={"error": type(error).__name__})
        db.session.remove()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin deferred transactions
    _enable_wal(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, with which readers and a writer do not block each other.

    A new database is switched once. While another process does that, SQLite fails at once, whatever the
    timeout, so this tries again.
    """
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(BUSY_PAUSE)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
