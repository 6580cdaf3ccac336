"""Restore a backup to an empty data directory and an empty database."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app

from app.backup import databases
from app.backup.archive import SQLITE, BackupError, unpack
from app.context import settings

STAGING = ".restore"
HARMLESS = {"secret_key"}  # made by every command in development, before it runs


def restore(source: Path) -> dict[str, Any]:
    """Restore the backup at `source`, and return its facts.

    Everything is unpacked and checked before anything is put in its place.

    Raises
    ------
    BackupError
        The backup is damaged or too new, or the data directory or the database is not empty.
    """
    data_dir = settings().data_dir
    found = sorted({path.name for path in data_dir.iterdir()} - HARMLESS)
    if found:
        raise BackupError(f"{data_dir} is not empty (it holds {found[0]}); choose another: DATA_DIR=/path")
    databases.check_empty()
    _check_space(source, data_dir)
    staging = data_dir / STAGING
    try:
        staging.mkdir(mode=0o700)
        facts = unpack(source, staging)
        _check_fits(facts, source)
        databases.load(staging / databases.kind())
        for folder in sorted(path for path in staging.iterdir() if path.is_dir()):
            folder.rename(data_dir / folder.name)
    except OSError as error:
        raise BackupError(f"{error.strerror or error} while writing {data_dir}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return facts


def _check_space(source: Path, data_dir: Path) -> None:
    needed, free = source.stat().st_size, shutil.disk_usage(data_dir).free
    if needed > free:
        raise BackupError(f"{data_dir} has {free >> 20} MB free, and the backup needs {needed >> 20}")


def _check_fits(facts: dict[str, Any], source: Path) -> None:
    """Refuse a backup of the other kind of database, or of one with newer tables."""
    if facts["database"] != databases.kind():
        needed = "sqlite:////path/vitrine.db" if facts["database"] == SQLITE else "postgresql://..."
        raise BackupError(f"{source} holds another kind of database; set DATABASE_URL={needed}")
    migrations = ScriptDirectory(current_app.extensions["migrate"].directory)
    try:
        migrations.get_revision(facts["revision"])
    except CommandError as error:
        made = facts["vitrine"]
        raise BackupError(
            f"{source} was made by Vitrine {made}, which has newer tables: update first"
        ) from error
