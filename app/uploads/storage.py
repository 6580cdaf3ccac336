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
from typing import BinaryIO

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


def remove_orphans(now: float | None = None) -> int:
    """Remove files older than `ORPHAN_AGE` that no row refers to; return how many.

    Files with other names are left alone, since this module did not write them.
    """
    now = time.time() if now is None else now
    try:
        entries = [entry for entry in os.scandir(settings().uploads_dir) if OUR_NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return 0
    old = [entry.name for entry in entries if _modified(entry) < now - ORPHAN_AGE]
    orphans = [name for batch in _batches(old) for name in _without_row(batch)]
    db.session.rollback()
    remove(orphans)
    return len(orphans)


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
