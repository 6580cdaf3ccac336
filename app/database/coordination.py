"""Tables with which processes coordinate: leases and rate limits, which must work without Redis."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UtcDateTime

ADMISSION = "admission"
RECONCILER = "reconciler"


class Lease(Base):
    """A right that one process holds at a time, until it expires. The first migration creates the rows."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    holder: Mapped[str | None] = mapped_column(sa.String(64))
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Throttle(Base):
    """A bucket of the rate limiter: when it will be empty, in seconds since 1970 (GCRA's theoretical arrival
    time).
    """

    __tablename__ = "throttles"

    bucket: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    empty_at: Mapped[float] = mapped_column(index=True)
