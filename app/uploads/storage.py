"""The files of uploads, under generated names; a file is written completely or not at all.

Called by `app.searches`, `app.accounts` and the worker. Rows decide which files exist: a file is written
before its row and removed after the row has been deleted. A crash in between leaves an orphan, which
`remove_orphans` removes.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import sqlalchemy as sa

from app.context import settings
from app.database import Upload
from app.extensions import db
from model.files import replacing

ORIGINAL, PREVIEW, PART = ".upload", ".jpg", ".part"
PREVIEW_TYPES = {PREVIEW: "image/jpeg", ".webp": "image/webp"}  # WebP was used by earlier versions
log = logging.getLogger(__name__)

OUR_NAME = re.compile(r"[0-9a-f]{32}\.(upload|jpg|webp|part)")
ORPHAN_AGE = 3600  # seconds; a younger file may be about to get its row
FEW_ORPHANS = 10  # up to this number are removed even if they are most of the files
SET_ASIDE = "set-aside"
SET_ASIDE_SECONDS = 7 * 24 * 3600


class Census(NamedTuple):
    """The number of stored files older than `ORPHAN_AGE`, and the names of those that no row refers to."""

    files: int
    orphans: set[str]

    @property
    def absurd(self) -> bool:
        """Return whether too many files are unknown: the database is then another site's, or an old copy."""
        return len(self.orphans) > max(FEW_ORPHANS, self.files // 2)


def path_of(name: str) -> Path:
    """Return the path of a stored file.

    Raises
    ------
    ValueError
        `name` is not a name that this module generates.
    """
    if not OUR_NAME.fullmatch(name):
        raise ValueError("not the name of a stored picture")
    return settings().uploads_dir / name


def save_original(stream: BinaryIO) -> str:
    """Store a picture unchanged and return its name.

    Raises
    ------
    OSError
        The disk is full or not writable; no file is left behind.
    """
    stream.seek(0)
    return _save(stream, ORIGINAL)


def save_preview(stream: BinaryIO) -> str:
    """Store a picture that was re-encoded as JPEG and return its name; raises like `save_original`."""
    stream.seek(0)
    return _save(stream, PREVIEW)


def preview_type(name: str) -> str:
    """Return the media type of a preview."""
    return PREVIEW_TYPES[path_of(name).suffix]


def remove(names: Iterable[str]) -> None:
    """Remove files whose rows were deleted; files that cannot be removed are left for `remove_orphans`."""
    for name in names:
        try:
            path_of(name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("a stored picture cannot be removed", extra={"reason": error.strerror})


def census(now: float | None = None) -> Census:
    """Count the stored files and find those without a row.

    Files with other names are ignored, since this module did not write them. So are drafts and young files.
    """
    now = time.time() if now is None else now
    old = [entry.name for entry in _entries() if _modified(entry) < now - ORPHAN_AGE]
    stored = [name for name in old if not name.endswith(PART)]
    orphans = {name for batch in _batches(stored) for name in _without_row(batch)}
    db.session.rollback()
    return Census(len(stored), orphans)


def remove_orphans(now: float | None = None, *, limited: bool = True) -> int:
    """Set aside files older than `ORPHAN_AGE` that no row refers to; return how many.

    They are kept in `set_aside_folder` for `SET_ASIDE_SECONDS`, because a wrong or old database makes sound
    files look like orphans. Drafts of killed processes are removed at once.

    Parameters
    ----------
    now : float, optional
        Seconds since 1970.
    limited : bool
        Leave everything as it is if the number of orphans is absurd.
    """
    now = time.time() if now is None else now
    found = census(now)
    if limited and found.absurd:
        log.error(
            "%d of %d stored pictures are unknown to the database; nothing is removed. Check DATABASE_URL and"
            " DATA_DIR. To set these files aside nevertheless, run: flask site sweep",
            len(found.orphans),
            found.files,
        )
        return 0
    drafts = [entry.name for entry in _entries() if entry.name.endswith(PART)]
    drafts = [name for name in drafts if _age(settings().uploads_dir / name, now) > ORPHAN_AGE]
    remove(drafts)
    _set_aside(found.orphans, now)
    for path in set_aside_folder().glob("*"):
        if OUR_NAME.fullmatch(path.name) and _age(path, now) > SET_ASIDE_SECONDS:
            path.unlink(missing_ok=True)
    return len(found.orphans) + len(drafts)


def set_aside_folder() -> Path:
    """Return the folder for files that no row refers to; on the same disk as the stored pictures."""
    return settings().uploads_dir / SET_ASIDE


def _set_aside(names: Iterable[str], now: float) -> None:
    for name in names:
        try:
            set_aside_folder().mkdir(mode=0o700, exist_ok=True)
            path_of(name).rename(set_aside_folder() / name)
            os.utime(set_aside_folder() / name, (now, now))  # the time for which it is kept begins
        except OSError as error:
            log.warning("a stored picture cannot be set aside", extra={"reason": error.strerror})


def _entries() -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(settings().uploads_dir) if OUR_NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return []


def _age(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _save(stream: BinaryIO, suffix: str) -> str:
    directory = settings().uploads_dir
    directory.mkdir(parents=True, exist_ok=True)
    stem = uuid.uuid4().hex
    final = directory / f"{stem}{suffix}"
    # A draft that a kill leaves has a name that `remove_orphans` knows.
    with replacing(final, draft=directory / f"{stem}{PART}", sync=True) as file:
        shutil.copyfileobj(stream, file)
    return final.name


def _modified(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")


def _batches(names: list[str], size: int = 500) -> Iterable[list[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _without_row(names: list[str]) -> set[str]:
    stored = db.session.scalars(sa.select(Upload.stored_name).where(Upload.stored_name.in_(names)))
    shown = db.session.scalars(sa.select(Upload.preview_name).where(Upload.preview_name.in_(names)))
    return set(names) - set(stored) - set(shown)
