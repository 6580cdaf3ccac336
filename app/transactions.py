"""How the database is reached: engine options, and the one way to write.

Reading needs no ceremony: the session begins a read transaction by itself and the request's end closes it.
Every write goes through `transaction`. On SQLite a transaction that begins by reading and then wants to write
fails at once with "database is locked" when another has written meanwhile, whatever the timeout;
`transaction` takes the write lock first and so waits its turn.
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
BUSY_PAUSE = 0.02  # seconds between two tries where SQLite does not wait by itself
CONNECT_TIMEOUT = 3  # seconds to wait for PostgreSQL
POOL_TIMEOUT = 5  # seconds to wait for a connection that another thread has
WRITING = "vitrine_writing"

log = logging.getLogger(__name__)


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options of the engine; statements' parameters, such as pictures' names, stay out of errors."""
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
    """End each context's reading; prepare SQLite's connections: WAL, foreign keys, transactions begun by us,
    not by the driver.
    """
    app.teardown_appcontext(_let_go)
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)


@contextmanager
def transaction() -> Iterator[Session]:
    """One short write transaction: committed at the end, rolled back on an error.

    A read transaction that is open is ended first, so that what is read inside is not older than the write
    lock.
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


def _let_go(_error: BaseException | None) -> None:
    """End what was read, before Flask-SQLAlchemy does, which would turn an answer that is ready into an
    error where the server has cut the connection since.
    """
    try:
        db.session.remove()
    except OperationalError as error:
        log.warning("a connection was lost after use", extra={"error": type(error).__name__})
        db.session.remove()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would be a deferred one
    _write_ahead(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side.

    A new database is changed over once; while another process is at that, SQLite refuses at once, whatever
    the timeout.
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
