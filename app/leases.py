"""Rights that one process at a time holds, kept in the database so that they outlive any of the processes."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.database import ADMISSION, Lease, utcnow
from app.transactions import transaction


def hold(name: str, holder: str, seconds: float) -> bool:
    """Take the lease `name`, or renew it, for `seconds`; False while another holder has it."""
    now = utcnow()
    free = sa.or_(Lease.until.is_(None), Lease.until < now, Lease.holder == holder)
    statement = (
        sa.update(Lease)
        .where(Lease.name == name, free)
        .values(holder=holder, until=now + timedelta(seconds=seconds))
        .returning(Lease.name)
    )
    with transaction() as session:
        return session.scalar(statement) is not None


def release(name: str, holder: str) -> None:
    """Give the lease back before it lapses."""
    with transaction() as session:
        session.execute(
            sa.update(Lease).where(Lease.name == name, Lease.holder == holder).values(holder=None, until=None)
        )


def admit_one_at_a_time(session: Session) -> None:
    """Make transactions that count and then add wait for one another, so that a cap is a cap.

    SQLite's write lock does this already; elsewhere the lease's row is locked until the transaction ends.
    """
    session.execute(sa.select(Lease.name).where(Lease.name == ADMISSION).with_for_update())
