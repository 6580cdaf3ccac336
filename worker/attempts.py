"""What a worker may do to a search, each step one short transaction.

A claim raises the row's attempt number, and every later write asks for exactly that number and for a row that
still runs. Whoever comes late, because its lease lapsed or the search was deleted, therefore writes nothing
and is told so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from app.database import Search, SearchKind, SearchResult, SearchStage, SearchStatus, Upload, utcnow
from app.extensions import db
from app.transactions import transaction
from app.uploads import storage

MAX_ATTEMPTS = 3
WORKER_LOST = "worker_lost"
PICTURE_CODES = frozenset({"broken", "too_many_pixels", "unsupported_format"})
ENQUEUE_GRACE = timedelta(seconds=3)  # the web process enqueues right after its commit


@dataclass(frozen=True, slots=True)
class Attempt:
    """The right to carry out one attempt of a search; all that it takes to renew it or to give it up."""

    search_id: uuid.UUID
    attempt: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Claim(Attempt):
    """An attempt, and what carrying it out takes.

    `picture` is the upload's file: the original as it came while `needs_preview`, later the re-encoded
    picture that has replaced it. `features` with their `fingerprint` are what an earlier search computed of
    it. For a gallery picture `query_item` is set instead.
    """

    kind: SearchKind
    query_item: str | None
    picture: Path | None
    needs_preview: bool
    features: bytes | None
    fingerprint: dict[str, Any] | None


class Hit(NamedTuple):
    """One gallery picture found, with its cosine similarity."""

    item_id: str
    name: str
    path: str
    sha256: str
    width: int
    height: int
    score: float


class Reconciled(NamedTuple):
    """What `reconcile` found to do: ids to enqueue, and ids that it has failed."""

    enqueue: list[uuid.UUID]
    failed: list[uuid.UUID]


def claim(search_id: uuid.UUID, lease_seconds: float) -> Claim | None:
    """Begin an attempt; None where the search is gone, runs already or has ended."""
    now = utcnow()
    with transaction() as session:
        taken = _update(
            session,
            Search.id == search_id,
            Search.status == SearchStatus.QUEUED,
            status=SearchStatus.RUNNING,
            stage=SearchStage.ENCODING,
            attempt=Search.attempt + 1,
            lease_until=now + timedelta(seconds=lease_seconds),
            started=sa.func.coalesce(Search.started, now),
        )
        if not taken:
            return None
        search = session.get_one(Search, search_id)
        upload = _upload(session, search_id)
        return Claim(
            search_id=search_id,
            attempt=search.attempt,
            lease_seconds=lease_seconds,
            kind=search.kind,
            query_item=search.query_item,
            picture=_picture(upload),
            needs_preview=upload is not None and upload.stored_name is not None,
            features=upload.features if upload else None,
            fingerprint=upload.fingerprint if upload else None,
        )


def set_stage(claim: Attempt, stage: SearchStage) -> bool:
    """Say what the attempt is doing, and renew its lease; False where the claim no longer holds."""
    return _fenced(claim, stage=stage, lease_until=_lease(claim))


def renew(claim: Attempt) -> bool:
    """Renew the lease of an attempt that takes long; False where the claim no longer holds."""
    return _fenced(claim, lease_until=_lease(claim))


def finish(
    claim: Attempt,
    hits: Sequence[Hit],
    *,
    seconds: float,
    searched: int,
    generation: str,
    model: str,
    features: bytes | None = None,
    fingerprint: dict[str, Any] | None = None,
    preview: str | None = None,
) -> bool:
    """Write the results and end the search; False, and nothing written, where the claim no longer holds.

    Parameters
    ----------
    hits : sequence of Hit
        Best first; the rank is the place in the sequence, from 1.
    features, fingerprint : optional
        The picture's features (float32, little-endian) and what they were made with, kept for searching
        again.
    preview : str, optional
        Name of the re-encoded picture (`storage.save_preview`). It takes the original's place, whose file is
        removed; where the claim no longer holds, the preview itself is.
    """
    with transaction() as session:
        done = _update(
            session,
            *_holds(claim),
            **_ended(SearchStatus.DONE, SearchStage.DONE),
            seconds=seconds,
            searched=searched,
            generation=generation,
            model=model,
        )
        useless = [preview] if preview else []
        if done:
            session.add_all(
                SearchResult(search_id=claim.search_id, rank=rank, **hit._asdict())
                for rank, hit in enumerate(hits, 1)
            )
            useless = _keep(session, claim, features, fingerprint, preview)
    storage.remove(useless)
    return done


def fail(claim: Attempt, code: str) -> bool:
    """End the search with an error; False where the claim no longer holds.

    A picture that cannot be searched is of no further use and its file is removed.
    """
    with transaction() as session:
        failed = _update(
            session, *_holds(claim), **_ended(SearchStatus.FAILED, SearchStage.FAILED), error_code=code
        )
        useless = _drop_original(session, claim) if failed and code in PICTURE_CODES else []
    storage.remove(useless)
    return failed


def retry_later(claim: Attempt, code: str = WORKER_LOST) -> bool:
    """Give the search back to the queue; after `MAX_ATTEMPTS` it fails with `code` instead.

    Returns
    -------
    bool
        Whether the search will be tried again.
    """
    if claim.attempt >= MAX_ATTEMPTS:
        fail(claim, code)
        return False
    return _fenced(claim, **_waiting())


def reconcile(live_job_ids: set[str], now: datetime | None = None) -> Reconciled:
    """Bring rows and queue together again.

    Running rows whose lease has lapsed go back to the queue or, after `MAX_ATTEMPTS`, fail as
    ``worker_lost``; queued rows that no live job stands for are returned to be enqueued.
    """
    now = now or utcnow()
    lapsed = sa.and_(Search.status == SearchStatus.RUNNING, Search.lease_until < now)
    with transaction() as session:
        spent = session.scalars(sa.select(Search.id).where(lapsed, Search.attempt >= MAX_ATTEMPTS)).all()
        failed = [
            search_id
            for search_id in spent
            if _update(
                session,
                Search.id == search_id,
                lapsed,
                **_ended(SearchStatus.FAILED, SearchStage.FAILED),
                error_code=WORKER_LOST,
            )
        ]
        _update(session, lapsed, Search.attempt < MAX_ATTEMPTS, **_waiting())
    waiting = db.session.scalars(
        sa.select(Search.id)
        .where(
            Search.status == SearchStatus.QUEUED,
            sa.or_(Search.created < now - ENQUEUE_GRACE, Search.attempt > 0),
        )
        .order_by(Search.created)
    ).all()
    db.session.rollback()
    return Reconciled([each for each in waiting if str(each) not in live_job_ids], failed)


def _holds(claim: Attempt) -> Iterable[sa.ColumnElement[bool]]:
    return (
        Search.id == claim.search_id,
        Search.attempt == claim.attempt,
        Search.status == SearchStatus.RUNNING,
    )


def _fenced(claim: Attempt, **values: Any) -> bool:
    with transaction() as session:
        return _update(session, *_holds(claim), **values)


def _update(session: Session, *conditions: sa.ColumnElement[bool], **values: Any) -> bool:
    statement = sa.update(Search).where(*conditions).values(**values).returning(Search.id)
    return bool(session.scalars(statement, execution_options={"synchronize_session": False}).all())


def _lease(claim: Attempt) -> datetime:
    return utcnow() + timedelta(seconds=claim.lease_seconds)


def _waiting() -> dict[str, Any]:
    return {"status": SearchStatus.QUEUED, "stage": SearchStage.WAITING, "lease_until": None}


def _ended(status: SearchStatus, stage: SearchStage) -> dict[str, Any]:
    return {"status": status, "stage": stage, "lease_until": None, "finished": utcnow()}


def _picture(upload: Upload | None) -> Path | None:
    if upload is None or not upload.files:
        return None
    return storage.path_of(upload.files[0])


def _upload(session: Session, search_id: uuid.UUID) -> Upload | None:
    return session.scalar(
        sa.select(Upload)
        .join(Search, Search.upload_id == Upload.id)
        .where(Search.id == search_id)
        .options(undefer(Upload.features))
    )


def _keep(
    session: Session,
    claim: Attempt,
    features: bytes | None,
    fingerprint: dict[str, Any] | None,
    preview: str | None,
) -> list[str]:
    """Record what the worker made of the upload; return the files that it replaces."""
    upload = _upload(session, claim.search_id)
    if upload is None:
        return []
    if features is not None:
        upload.features, upload.fingerprint = features, fingerprint
    if preview is None:
        return []
    replaced = upload.files
    upload.stored_name, upload.preview_name = None, preview
    return replaced


def _drop_original(session: Session, claim: Attempt) -> list[str]:
    upload = _upload(session, claim.search_id)
    if upload is None or upload.stored_name is None:
        return []
    dropped, upload.stored_name = upload.stored_name, None
    return [dropped]
