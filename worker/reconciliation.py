"""Compare rows with the queue: find searches to enqueue again, and searches to give up.

`worker.reconciler` calls this every few seconds.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from app.database import Search, SearchStage, SearchStatus, database_now
from app.extensions import db
from app.transactions import transaction
from worker.attempts import MAX_ATTEMPTS, WORKER_LOST, ended, update_rows, waiting

LONGEST_LEASE = timedelta(minutes=1)  # a later end is from before the clock was set back
ENQUEUE_GRACE = timedelta(seconds=3)  # the web process enqueues right after its commit


class Reconciled(NamedTuple):
    """Searches to enqueue, and searches that have failed."""

    enqueue: list[uuid.UUID]
    failed: list[uuid.UUID]


def reconcile(live_job_ids: set[str], now: datetime | None = None) -> Reconciled:
    """Release attempts whose lease has lapsed, and find searches that wait without a job.

    A running search whose lease has lapsed returns to the queue or, after `MAX_ATTEMPTS`, fails with
    ``worker_lost``. Queued searches without a live job are returned, oldest first, to be enqueued.
    """
    with transaction() as session:
        now = now or database_now(session)
        over = sa.or_(Search.lease_until < now, Search.lease_until > now + LONGEST_LEASE)
        lapsed = sa.and_(Search.status == SearchStatus.RUNNING, over)
        spent = session.scalars(sa.select(Search.id).where(lapsed, Search.attempt >= MAX_ATTEMPTS)).all()
        failed = [
            search_id
            for search_id in spent
            if update_rows(
                session,
                Search.id == search_id,
                lapsed,
                **ended(SearchStatus.FAILED, SearchStage.FAILED),
                error_code=WORKER_LOST,
            )
        ]
        update_rows(session, lapsed, Search.attempt < MAX_ATTEMPTS, **waiting())
    without_job = [search_id for search_id in _queued(now) if str(search_id) not in live_job_ids]
    return Reconciled(without_job, failed)


def _queued(now: datetime) -> list[uuid.UUID]:
    """Return the queued searches, without those that a web process is about to enqueue."""
    statement = sa.select(Search.id).where(
        Search.status == SearchStatus.QUEUED,
        sa.or_(
            Search.created < now - ENQUEUE_GRACE, Search.created > now + ENQUEUE_GRACE, Search.attempt > 0
        ),
    )
    found = db.session.scalars(statement.order_by(Search.created)).all()
    db.session.rollback()
    return list(found)
