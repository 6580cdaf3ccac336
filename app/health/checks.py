"""Checks of the parts that the application needs; used by ``/readyz`` and `flask doctor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from app import queue
from app.extensions import db
from app.gallery import current


class Check(NamedTuple):
    """The result of a check; `detail` contains no secrets."""

    ok: bool
    detail: str


def database() -> Check:
    """Check that the database answers."""
    try:
        db.session.execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        db.session.remove()
        return Check(False, f"not reachable ({type(error).__name__})")
    return Check(True, db.engine.dialect.name)


def migrations() -> Check:
    """Check that all migrations of this version have been applied."""
    directory = current_app.extensions["migrate"].directory
    head = ScriptDirectory(directory).get_current_head()
    try:
        found = MigrationContext.configure(db.session.connection()).get_current_revision()
    except SQLAlchemyError as error:
        db.session.remove()
        return Check(False, f"unknown ({type(error).__name__})")
    if found != head:
        return Check(False, f"at {found}, should be at {head}: run flask db upgrade")
    return Check(True, f"at {found}")


def redis() -> Check:
    """Check that Redis answers."""
    return Check(True, "answers") if queue.ping() else Check(False, "not reachable; searches wait")


def index() -> Check:
    """Check that there is an index to search."""
    catalog = current.catalog()
    if catalog is None:
        return Check(False, "no readable index: run flask gallery index DIR")
    return Check(True, f"{len(catalog)} pictures")


CHECKS: dict[str, Callable[[], Check]] = {
    "database": database,
    "migrations": migrations,
    "redis": redis,
    "index": index,
}
