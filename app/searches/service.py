"""Create and find searches, for the pages and the API.

A search is committed first and enqueued afterwards, so that every search in the database is going to run.
"""

from __future__ import annotations

import re
import uuid
from typing import BinaryIO

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, joinedload, selectinload

from app import queue
from app.context import settings
from app.database import PENDING, Owner, Search, SearchKind, Upload
from app.errors import RefusalError
from app.extensions import db
from app.leases import admit_one_at_a_time
from app.messages import message
from app.searches import limits
from app.transactions import transaction
from app.uploads import gate, storage

SUBMISSION = re.compile(r"[A-Za-z0-9_-]{8,64}")


def search_upload(
    owner: Owner, stream: BinaryIO | None, filename: str | None, submission: str | None
) -> uuid.UUID:
    """Search with an uploaded picture; requests with the same submission are one search.

    Raises
    ------
    RefusalError
        The picture is refused, too many searches are waiting, or a limit or quota is reached.
    OSError
        The disk is full; no file is left behind.
    """
    submission = submission if submission and SUBMISSION.fullmatch(submission) else uuid.uuid4().hex
    known = _submitted(db.session(), owner, submission)
    if known is not None:
        return known
    limits.check_queue(db.session(), owner)
    limits.check_storage(db.session(), owner)
    received = gate.receive(stream, filename)
    limits.charge_address(owner)
    stored_name = storage.save_original(received.stream)
    used = False
    try:
        with transaction() as session:
            admit_one_at_a_time(session)
            search_id = _submitted(session, owner, submission)
            if search_id is None:
                upload = _upload(owner, received, stored_name)
                search_id = _add(session, owner, submission, kind=SearchKind.UPLOAD, upload_id=upload.id)
                session.add(upload)
                used = True
    except DBAPIError as error:
        used = used and error.connection_invalidated  # lost during the commit: the row may exist
        raise
    finally:
        if not used:
            storage.remove([stored_name])
    queue.enqueue(search_id)
    return search_id


def search_item(owner: Owner, item_id: str) -> uuid.UUID:
    """Search with an item of the gallery, or return the owner's pending search with that item.

    Raises
    ------
    RefusalError
        Too many searches are waiting.
    """
    return _repeat(owner, kind=SearchKind.ITEM, query_item=item_id)


def search_again(owner: Owner, search: Search) -> uuid.UUID:
    """Search again with the picture of a search.

    Raises
    ------
    RefusalError
        The picture is no longer stored, or too many searches are waiting.
    """
    if search.query_item is not None:
        return search_item(owner, search.query_item)
    if search.upload is None or not search.upload.files:
        raise RefusalError("picture_gone", message("picture_gone"), 410)
    return _repeat(owner, kind=SearchKind.UPLOAD, upload_id=search.upload.id)


def find(owner: Owner | None, search_id: uuid.UUID) -> Search | None:
    """Return a search of the owner with its upload and results; None if there is no such search."""
    if owner is None:
        return None
    owned = sa.select(Search).where(Search.id == search_id, Search.owned_by(owner))
    return db.session.scalar(with_parts(owned))


def with_parts(statement: sa.Select[Search]) -> sa.Select[Search]:
    """Load uploads and results together with the searches."""
    return statement.options(joinedload(Search.upload), selectinload(Search.results))


def position(search: Search) -> int:
    """Return the place in the queue from 1, counted in the database, which works without Redis."""
    before = sa.select(sa.func.count()).where(
        Search.status.in_(PENDING), Search.created <= search.created, Search.id != search.id
    )
    return (db.session.scalar(before) or 0) + 1


def _repeat(
    owner: Owner, *, kind: SearchKind, query_item: str | None = None, upload_id: uuid.UUID | None = None
) -> uuid.UUID:
    same = sa.and_(Search.owned_by(owner), Search.status.in_(PENDING))
    same = sa.and_(same, Search.query_item == query_item if query_item else Search.upload_id == upload_id)
    limits.charge_address(owner)
    with transaction() as session:
        admit_one_at_a_time(session)
        search_id = session.scalar(sa.select(Search.id).where(same))
        if search_id is None:
            search_id = _add(
                session, owner, uuid.uuid4().hex, kind=kind, query_item=query_item, upload_id=upload_id
            )
    queue.enqueue(search_id)
    return search_id


def _submitted(session: Session, owner: Owner, submission: str) -> uuid.UUID | None:
    submitted = sa.select(Search.id).where(Search.owned_by(owner), Search.submission == submission)
    return session.scalar(submitted)


def _add(
    session: Session,
    owner: Owner,
    submission: str,
    *,
    kind: SearchKind,
    query_item: str | None = None,
    upload_id: uuid.UUID | None = None,
) -> uuid.UUID:
    limits.check_queue(session, owner)
    search = Search(
        id=uuid.uuid4(),
        user_id=owner.user_id,
        visitor=owner.visitor,
        kind=kind,
        query_item=query_item,
        upload_id=upload_id,
        submission=submission,
        model=settings().model,
    )
    session.add(search)
    return search.id


def _upload(owner: Owner, received: gate.Received, stored_name: str) -> Upload:
    return Upload(
        id=uuid.uuid4(),
        user_id=owner.user_id,
        visitor=owner.visitor,
        filename=received.filename,
        stored_name=stored_name,
        format=received.info.format,
        width=received.info.width,
        height=received.info.height,
        size=received.size,
    )
