"""Deleting searches, with the pictures that no other search needs and those pictures' files."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.database import PENDING, Owner, Search, Upload
from app.leases import admit_one_at_a_time
from app.transactions import transaction
from app.uploads import storage

KEEP_ORIGINALS = timedelta(days=1)  # of searches that failed and may be tried again
KEEP_ANONYMOUS = timedelta(days=7)  # nobody can come back to them once the browser's session has ended


def delete_searches(owner: Owner, search_id: uuid.UUID | None = None) -> int:
    """Delete one or all of the owner's searches; return how many there were."""
    mine = Search.owned_by(owner)
    if search_id is not None:
        mine = sa.and_(mine, Search.id == search_id)
    with transaction() as session:
        deleted, files = drop(session, mine, Upload.owned_by(owner))
    storage.remove(files)
    return deleted


def delete_old_anonymous(now: datetime) -> int:
    """Delete the searches of visitors that are older than `KEEP_ANONYMOUS`; return how many there were."""
    old = sa.and_(Search.visitor.is_not(None), Search.created < now - KEEP_ANONYMOUS)
    with transaction() as session:
        deleted, files = drop(session, old, Upload.visitor.is_not(None))
    storage.remove(files)
    return deleted


def drop_old_originals(now: datetime) -> int:
    """Remove pictures as they came, metadata and all, that no search waits for; return how many there were.

    A search that succeeds replaces its picture at once; these are of searches that failed and that nobody
    tried again within `KEEP_ORIGINALS`.
    """
    waiting = sa.exists().where(Search.upload_id == Upload.id, Search.status.in_(PENDING))
    old = sa.and_(Upload.stored_name.is_not(None), Upload.created < now - KEEP_ORIGINALS, ~waiting)
    files: list[str | None] = []
    with transaction() as session:
        admit_one_at_a_time(session)
        for upload in session.scalars(sa.select(Upload).where(old)):
            files.append(upload.stored_name)
            upload.stored_name = None
    storage.remove(filter(None, files))
    return len(files)


def drop(
    session: Session, searches: sa.ColumnElement[bool], uploads: sa.ColumnElement[bool]
) -> tuple[int, list[str]]:
    """Delete within a transaction of the caller.

    Parameters
    ----------
    searches, uploads : conditions
        Which searches go, and among which uploads those left without a search go too.

    Returns
    -------
    tuple
        How many searches went, and the names of the files to remove once the transaction is committed.
    """
    admit_one_at_a_time(session)  # no search may take up one of these uploads meanwhile
    gone = session.scalars(sa.delete(Search).where(searches).returning(Search.id)).all()
    unused = ~sa.exists().where(Search.upload_id == Upload.id)
    rows = session.execute(
        sa.delete(Upload).where(uploads, unused).returning(Upload.stored_name, Upload.preview_name)
    ).all()
    return len(gone), [name for row in rows for name in row if name]
