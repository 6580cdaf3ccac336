"""Run migrations on the engine of the application, each upgrade in one transaction; called by Alembic."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from app.database.base import Base, UtcDateTime
from app.extensions import db
from app.transactions import WRITING

LOCK = (
    0x7669_7472_696E_65  # "vitrine": others wait for the process that migrates, and then have nothing to do
)


def render_item(kind: str, value: Any, _context: Any) -> str | Literal[False]:
    """Render the application's own types as standard ones, so that migrations do not depend on them."""
    if kind == "type" and isinstance(value, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run_migrations() -> None:
    """Migrate while holding the write lock from the beginning."""
    with db.engine.connect().execution_options(**{WRITING: True}) as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            # A batch migration rebuilds a table; with foreign keys on, dropping the old one would delete
            # all rows that refer to it. The pragma has no effect inside a transaction.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=sqlite,
            render_item=render_item,
            transactional_ddl=True,
            compare_type=True,
        )
        with context.begin_transaction():
            if not sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            context.run_migrations()
        if sqlite:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")


run_migrations()
