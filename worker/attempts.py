"""State transitions of a search, made by workers; each is one short transaction.

A claim increments the row's attempt number. Every later write requires exactly that number and a row that is
still running. A worker that comes too late, because its lease lapsed or the search was deleted, writes
nothing, and the function returns False. What happens to attempts without a worker is in
`worker.reconciliation`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from app.database import (
    Search,
    SearchKind,
    SearchResult,
    SearchStage,
    SearchStatus,
    Upload,
    database_now,
    utcnow,
)
from app.transactions import transaction
from app.uploads import storage

MAX_ATTEMPTS = 3
WORKER_LOST = "worker_lost"
PICTURE_CODES = frozenset({"broken", "too_many_pixels", "unsupported_format", "unsupported_kind"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a search, with everything needed to renew its lease or to give up."""

    search_id: uuid.UUID
    attempt: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Claim(Attempt):
    """An attempt, with the query that it searches for.

    `picture` is the uploaded file: the original while `needs_preview` is true, later the re-encoded picture
    that has replaced it. `features` and their `fingerprint` were computed by an earlier search for the same
    picture. For an item of the gallery, `query_item` is set instead.
    """

    kind: SearchKind
    query_item: str | None
    picture: Path | None
    needs_preview: bool
    features: bytes | None
    fingerprint: dict[str, Any] | None


class Hit(NamedTuple):
    """One item found, with its cosine similarity."""

    item_id: str
    name: str
    path: str
    sha256: str
    width: int
    height: int
    score: float


def claim(search_id: uuid.UUID, lease_seconds: float) -> Claim | None:
    """Begin an attempt; return None if the search was deleted, is running already or has ended."""
    with transaction() as session:
        now = database_now(session)
        taken = update_rows(
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
    """Record the stage of the attempt and renew its lease; return False if the claim no longer holds."""
    return _renewed(claim, stage=stage)


def renew(claim: Attempt) -> bool:
    """Renew the lease of an attempt; return False if the claim no longer holds."""
    return _renewed(claim)


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
    """Write the results and end the search.

    Parameters
    ----------
    hits : sequence of Hit
        Best first; ranks are counted from 1.
    features, fingerprint : optional
        The picture's feature (float32, little-endian) and the fingerprint of the encoder that computed it,
        kept for searching again.
    preview : str, optional
        Name of the re-encoded picture (`storage.save_preview`). It replaces the original, whose file is
        removed. If the claim no longer holds, the preview is removed instead.

    Returns
    -------
    bool
        False if the claim no longer holds; then nothing has been written.
    """
    with transaction() as session:
        done = update_rows(
            session,
            *_holds(claim),
            **ended(SearchStatus.DONE, SearchStage.DONE),
            seconds=seconds,
            searched=searched,
            generation=generation,
            model=model,
        )
        unneeded = [preview] if preview else []
        if done:
            session.add_all(
                SearchResult(search_id=claim.search_id, rank=rank, **hit._asdict())
                for rank, hit in enumerate(hits, 1)
            )
            unneeded = _keep(session, claim, features, fingerprint, preview)
    storage.remove(unneeded)
    return done


def fail(claim: Attempt, code: str) -> bool:
    """End the search with an error; return False if the claim no longer holds.

    If the picture itself is the reason, its file is removed.
    """
    with transaction() as session:
        failed = update_rows(
            session, *_holds(claim), **ended(SearchStatus.FAILED, SearchStage.FAILED), error_code=code
        )
        unneeded = _drop_original(session, claim) if failed and code in PICTURE_CODES else []
    storage.remove(unneeded)
    return failed


def retry_later(claim: Attempt, code: str = WORKER_LOST) -> bool:
    """Return the search to the queue or, after `MAX_ATTEMPTS`, let it fail with `code`.

    Returns
    -------
    bool
        Whether the search will be tried again.
    """
    if claim.attempt >= MAX_ATTEMPTS:
        fail(claim, code)
        return False
    return _fenced(claim, **waiting())


def give_back(attempt: Attempt) -> bool:
    """Return the search to the queue as if the attempt had not begun, because an outage prevented it.

    The caller must have stopped working on it. Also works after the lease has lapsed, until somebody else has
    claimed the search.

    Returns
    -------
    bool
        False if the search was claimed again, has ended or was deleted.
    """
    with transaction() as session:
        return update_rows(
            session,
            Search.id == attempt.search_id,
            Search.attempt == attempt.attempt,
            Search.status.in_((SearchStatus.RUNNING, SearchStatus.QUEUED)),
            attempt=Search.attempt - 1,
            **waiting(),
        )


def update_rows(session: Session, *conditions: sa.ColumnElement[bool], **values: Any) -> bool:
    """Update the searches that meet all conditions; return whether there was one."""
    statement = sa.update(Search).where(*conditions).values(**values).returning(Search.id)
    return bool(session.scalars(statement, execution_options={"synchronize_session": False}).all())


def waiting() -> dict[str, Any]:
    """Return the columns of a search that waits in the queue."""
    return {"status": SearchStatus.QUEUED, "stage": SearchStage.WAITING, "lease_until": None}


def ended(status: SearchStatus, stage: SearchStage) -> dict[str, Any]:
    """Return the columns of a search that has ended now."""
    return {"status": status, "stage": stage, "lease_until": None, "finished": utcnow()}


def _holds(claim: Attempt) -> Iterable[sa.ColumnElement[bool]]:
    return (
        Search.id == claim.search_id,
        Search.attempt == claim.attempt,
        Search.status == SearchStatus.RUNNING,
    )


def _fenced(claim: Attempt, **values: Any) -> bool:
    with transaction() as session:
        return update_rows(session, *_holds(claim), **values)


def _renewed(claim: Attempt, **values: Any) -> bool:
    with transaction() as session:
        until = database_now(session) + timedelta(seconds=claim.lease_seconds)
        return update_rows(session, *_holds(claim), lease_until=until, **values)


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
    """Store feature and preview of the upload; return the files that the preview replaces."""
    upload = _upload(session, claim.search_id)
    if upload is None:
        return []
    if features is not None:
        upload.features, upload.fingerprint = features, fingerprint
    if preview is None:
        return []
    replaced = upload.files
    upload.stored_name, upload.preview_name = None, preview
    upload.size = storage.path_of(preview).stat().st_size  # what counts against a quota
    return replaced


def _drop_original(session: Session, claim: Attempt) -> list[str]:
    upload = _upload(session, claim.search_id)
    if upload is None or upload.stored_name is None:
        return []
    dropped, upload.stored_name = upload.stored_name, None
    return [dropped]
