"""Migrated databases."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from flask_migrate import upgrade

from app import create_app
from app.extensions import db
from config import Settings
from tests.support.postgres import postgres_server

KEY = "a key for tests only"
BACKEND = os.environ.get("VITRINE_TEST_DATABASE", "sqlite")
"""The database of tests that do not choose one: ``sqlite`` or ``postgresql``."""


def migrate(settings: Settings) -> None:
    """Migrate the database that `settings` name, and close it."""
    application = create_app(settings)
    with application.app_context():
        upgrade()
        db.engine.dispose()


@contextlib.contextmanager
def own_database() -> Iterator[dict[str, str]]:
    """Settings for a site that outlives a test: on PostgreSQL a separate server, which no test empties."""
    if BACKEND == "sqlite":
        yield {}  # its own file, in its own folder
        return
    with postgres_server() as server:
        yield {"DATABASE_URL": server.url}
