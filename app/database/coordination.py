"""Small tables by which processes agree: leases and rate limits live here, since Redis may be away."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UtcDateTime

ADMISSION = "admission"
RECONCILER = "reconciler"


class Lease(Base):
    """A right that one process at a time holds, until it lapses. The rows are made by the first migration."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    holder: Mapped[str | None] = mapped_column(sa.String(64))
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Throttle(Base):
    """One bucket of the rate limiter: when it will be empty again, in seconds since 1970 (the theoretical
    arrival time of GCRA).
    """

    __tablename__ = "throttles"

    bucket: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    empty_at: Mapped[float] = mapped_column(index=True)
