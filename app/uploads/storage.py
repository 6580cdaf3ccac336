"""Files of uploads, under names of our own. A file appears whole or not at all.

Rows decide which files live: a file is written before its row, and removed after the row is gone. What a
crash leaves between the two is an orphan, which `remove_orphans` sweeps.
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

ORIGINAL, PREVIEW, PART = ".upload", ".jpg", ".part"
PREVIEW_TYPES = {PREVIEW: "image/jpeg", ".webp": "image/webp"}  # WebP was made by earlier versions
log = logging.getLogger(__name__)

OUR_NAME = re.compile(r"[0-9a-f]{32}\.(upload|jpg|webp|part)")
ORPHAN_AGE = 3600  # seconds; a younger file may be about to get its row


def path_of(name: str) -> Path:
    """Where the file called `name` lies.

    Raises
    ------
    ValueError
        `name` is not one that this module gives.
    """
    if not OUR_NAME.fullmatch(name):
        raise ValueError("not the name of a stored picture")
    return settings().uploads_dir / name


def save_original(stream: BinaryIO) -> str:
    """Store a picture as it came and return its name.

    Raises
    ------
    OSError
        The disk is full or cannot be written; nothing is left behind.
    """
    stream.seek(0)
    return _save(stream, ORIGINAL)


def save_preview(stream: BinaryIO) -> str:
    """Store a picture that was encoded anew as JPEG and return its name; raises like `save_original`."""
    stream.seek(0)
    return _save(stream, PREVIEW)


def preview_type(name: str) -> str:
    """Return the media type of a preview."""
    return PREVIEW_TYPES[path_of(name).suffix]


def remove(names: Iterable[str]) -> None:
    """Remove files whose rows have gone; one that cannot be removed now is left for `remove_orphans`."""
    for name in names:
        try:
            path_of(name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("a stored picture cannot be removed", extra={"reason": error.strerror})


def remove_orphans(now: float | None = None) -> int:
    """Remove files that no row names and that are not about to get one; return how many.

    Names that are not ours are left alone: somebody else put them there.
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
    part, final = directory / f"{stem}{PART}", directory / f"{stem}{suffix}"
    try:
        with part.open("xb") as file:
            shutil.copyfileobj(stream, file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(final)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
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
