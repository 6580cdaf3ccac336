"""Leases that one process at a time can hold, kept in the database so that they survive its death."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.database import ADMISSION, Lease, database_now
from app.transactions import transaction

CLOCK_SLACK = timedelta(seconds=5)


def hold(name: str, holder: str, seconds: float) -> bool:
    """Take or renew the lease `name` for `seconds`; return False while another holder has it."""
    with transaction() as session:
        now = database_now(session)
        until = now + timedelta(seconds=seconds)
        # A lease that ends later than a new one would is from before the clock was set back.
        lapsed = sa.or_(Lease.until.is_(None), Lease.until < now, Lease.until > until + CLOCK_SLACK)
        statement = (
            sa.update(Lease)
            .where(Lease.name == name, sa.or_(lapsed, Lease.holder == holder))
            .values(holder=holder, until=until)
            .returning(Lease.name)
        )
        return session.scalar(statement) is not None


def release(name: str, holder: str) -> None:
    """Release the lease before it lapses."""
    with transaction() as session:
        session.execute(
            sa.update(Lease).where(Lease.name == name, Lease.holder == holder).values(holder=None, until=None)
        )


def admit_one_at_a_time(session: Session) -> None:
    """Serialize transactions that count rows and then add one, so that they respect a limit together.

    On SQLite the write lock does this already. Other databases lock the lease's row until the transaction
    ends.
    """
    session.execute(sa.select(Lease.name).where(Lease.name == ADMISSION).with_for_update())
