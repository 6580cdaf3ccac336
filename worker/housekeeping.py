"""What has to be thrown away from time to time."""

from __future__ import annotations

import time
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from app.database import Throttle, UserSession
from app.searches.deletion import delete_old_anonymous, drop_old_originals
from app.transactions import transaction
from app.uploads import storage


class Swept(NamedTuple):
    """How many searches of visitors, pictures as they came, and files without a row were thrown away."""

    searches: int
    originals: int
    files: int


def sweep(now: datetime) -> Swept:
    """Throw away what has expired: searches of visitors, pictures, sessions, limits, files without a row."""
    searches, originals = delete_old_anonymous(now), drop_old_originals(now)
    with transaction() as session:
        session.execute(sa.delete(UserSession).where(UserSession.expires < now))
        session.execute(sa.delete(Throttle).where(Throttle.empty_at < time.time()))
    return Swept(searches, originals, storage.remove_orphans(now.timestamp()))
