"""Removal of expired data: searches of visitors, originals, sessions, rate limits, files without a row."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from app import pairing
from app.database import Throttle, UserSession, database_now
from app.searches.deletion import delete_old_anonymous, drop_old_originals
from app.transactions import transaction
from app.uploads import storage

log = logging.getLogger(__name__)


class Removed(NamedTuple):
    """Numbers of removed searches of visitors, original pictures, and files without a row."""

    searches: int
    originals: int
    files: int


def sweep(now: datetime) -> Removed:
    """Remove everything that has expired at `now`."""
    searches, originals = delete_old_anonymous(now), drop_old_originals(now)
    with transaction() as session:
        session.execute(sa.delete(UserSession).where(UserSession.expires < now))
        session.execute(sa.delete(Throttle).where(Throttle.empty_at < database_now(session).timestamp()))
    return Removed(searches, originals, _set_orphans_aside(now))


def _set_orphans_aside(now: datetime) -> int:
    """Set files without a row aside, unless the database is another site's."""
    try:
        paired = pairing.check()
    except pairing.StrangerError as error:
        log.error("stored pictures are not swept: %s", error)
        return 0
    return storage.remove_orphans(now.timestamp()) if paired else 0
