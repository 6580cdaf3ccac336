"""Make a backup while the site is being used."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from alembic.migration import MigrationContext

from app.backup import databases
from app.backup.archive import FACTS, FORMAT, BackupError, Writer, writing
from app.context import settings
from app.database import Upload, utcnow
from app.uploads.storage import OUR_NAME, PART
from config import public_values
from gallery.errors import IndexMissingError
from gallery.generations import CURRENT, open_current
from gallery.locks import exclusive
from model.version import version

STAGING = ".backup"  # in the folder of uploads: hard links do not cross file systems


class Saved(NamedTuple):
    """What a backup holds."""

    pictures: int
    indexes: tuple[str, ...]
    missing: tuple[str, ...]  # pictures that rows name and that were not there


def save(target: Path, *, with_indexes: bool = False) -> Saved:
    """Write a backup of the database and the uploads, and of the indexes and thumbnails if asked.

    Raises
    ------
    BackupError
        The database, the disk or another backup that is being made stand in the way.
    StoreError
        Another backup is being made, or an index is damaged.
    """
    with _staging() as staging, writing(target) as archive:
        links = _Links(settings().uploads_dir, staging / "uploads")
        links.add_new()  # most of them, before anybody has to wait
        with databases.frozen(links.add_new) as connection:
            archive.add_bytes(FACTS, _facts(connection))
            copy = staging / databases.kind()
            databases.dump(connection, copy)
            archive.add(copy.name, copy)
            named = sorted(_named(connection))
        missing = tuple(name for name in named if not links.archived(name, archive))
        indexes = tuple(_add_indexes(archive)) if with_indexes else ()
        return Saved(len(named) - len(missing), indexes, missing)


class _Links:
    """Hard links to the uploads: what the site removes meanwhile stays readable."""

    def __init__(self, uploads: Path, folder: Path) -> None:
        self._uploads, self._folder = uploads, folder
        self._known: set[str] = set()
        folder.mkdir()

    def add_new(self) -> None:
        """Link the files that have come since the last call."""
        for name in os.listdir(self._uploads):  # noqa: PTH208 - names are enough, and there may be many
            if name in self._known or not OUR_NAME.fullmatch(name) or name.endswith(PART):
                continue
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed: no row names it
                (self._folder / name).hardlink_to(self._uploads / name)
            self._known.add(name)

    def archived(self, name: str, archive: Writer) -> bool:
        """Add one file to the backup, and return whether it is there."""
        try:
            archive.add(f"uploads/{name}", self._folder / name)
        except FileNotFoundError:
            return False
        return True


@contextlib.contextmanager
def _staging() -> Iterator[Path]:
    """Lend a folder for this backup alone, and remove what one that was killed has left there."""
    place = settings().uploads_dir / STAGING
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with exclusive(place):
            folder = place / "files"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise BackupError(f"{error.strerror or error}: {error.filename or place}") from error


def _facts(connection: sa.Connection) -> bytes:
    facts = {
        "format": FORMAT,
        "vitrine": version(),
        "created": utcnow().isoformat(timespec="seconds"),
        "database": databases.kind(),
        "revision": MigrationContext.configure(connection).get_current_revision(),
        "settings": public_values(settings()),
    }
    return json.dumps(facts, indent=1).encode()


def _named(connection: sa.Connection) -> Iterator[str]:
    for row in connection.execute(sa.select(Upload.stored_name, Upload.preview_name)):
        yield from filter(None, row)


def _add_indexes(archive: Writer) -> Iterator[str]:
    """Add each model's index, as it is in use, and the thumbnails that they share; yield the models."""
    indexes, thumbnails = settings().index_dir.parent, settings().thumbnails_dir
    for folder in sorted(path for path in indexes.glob("*") if path.is_dir()):
        try:
            generation = open_current(folder, lambda found: found)
        except IndexMissingError:
            continue
        with contextlib.closing(generation):
            base = f"indexes/{folder.name}"
            archive.add_bytes(f"{base}/{CURRENT}", f"{generation.name}\n".encode())
            for path in sorted(generation.path.iterdir()):
                archive.add(f"{base}/{generation.path.relative_to(folder).as_posix()}/{path.name}", path)
        yield folder.name
    for path in sorted(path for path in thumbnails.rglob("*") if path.is_file()):
        with contextlib.suppress(FileNotFoundError):  # pruned since it was listed
            archive.add(f"thumbnails/{path.relative_to(thumbnails).as_posix()}", path)
