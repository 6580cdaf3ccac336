"""Delete searches, and the uploads and files that no other search uses.

Called by the history pages, by `app.accounts` when an account is deleted, and by the worker's housekeeping.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.database import PENDING, Owner, Search, Upload
from app.leases import admit_one_at_a_time
from app.transactions import transaction
from app.uploads import storage

KEEP_ORIGINALS = timedelta(days=1)  # of failed searches, which may be tried again
KEEP_ANONYMOUS = timedelta(days=7)  # nobody can open them once the browser's session has ended


def delete_searches(owner: Owner, search_id: uuid.UUID | None = None) -> int:
    """Delete one or all searches of the owner; return how many were deleted."""
    owned = Search.owned_by(owner)
    if search_id is not None:
        owned = sa.and_(owned, Search.id == search_id)
    with transaction() as session:
        deleted, files = drop(session, owned, Upload.owned_by(owner))
    storage.remove(files)
    return deleted


def delete_old_anonymous(now: datetime) -> int:
    """Delete visitors' searches older than `KEEP_ANONYMOUS`; return how many were deleted."""
    old = sa.and_(Search.visitor.is_not(None), Search.created < now - KEEP_ANONYMOUS)
    with transaction() as session:
        deleted, files = drop(session, old, Upload.visitor.is_not(None))
    storage.remove(files)
    return deleted


def drop_old_originals(now: datetime) -> int:
    """Remove original files, which contain metadata, that no pending search needs; return how many.

    A search that succeeds replaces its original at once. What remains belongs to searches that failed and
    were not tried again within `KEEP_ORIGINALS`.
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
    """Delete searches and unused uploads within the caller's transaction.

    Parameters
    ----------
    searches, uploads : conditions
        The searches to delete, and the uploads to delete if no search uses them any more.

    Returns
    -------
    tuple
        The number of deleted searches, and the names of the files to remove after the commit.
    """
    admit_one_at_a_time(session)  # no new search may start to use one of these uploads meanwhile
    deleted = session.scalars(sa.delete(Search).where(searches).returning(Search.id)).all()
    unused = ~sa.exists().where(Search.upload_id == Upload.id)
    rows = session.execute(
        sa.delete(Upload).where(uploads, unused).returning(Upload.stored_name, Upload.preview_name)
    ).all()
    return len(deleted), [name for row in rows for name in row if name]
