"""A rate limit that works across processes and without Redis; called by `app.accounts` and `app.searches`.

It is the generic cell rate algorithm (GCRA): a bucket drains at a steady rate, each attempt adds to it, and
an attempt that would make it overflow is refused. Each bucket is one number that one statement changes, so
concurrent attempts cannot slip through.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from flask import request
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.context import settings
from app.database import Throttle, database_now
from app.errors import ThrottledError
from app.transactions import transaction


class Limit(NamedTuple):
    """`burst` attempts at once, and one more every `interval` seconds."""

    burst: int
    interval: float


# At most 5 + 60 / 12 = 10 in any minute.
PASSWORD_TRIES = Limit(burst=5, interval=12.0)
CLOCK_SLACK = 5.0  # seconds
SIGNUPS = Limit(burst=20, interval=60.0)  # each account brings its own place in the queue


def charge(buckets: Sequence[str], limit: Limit) -> None:
    """Count one attempt in every bucket, or in none.

    Raises
    ------
    ThrottledError
        One of the buckets is full.
    """
    with transaction() as session:
        now = database_now(session).timestamp()
        for bucket in sorted(buckets):  # a fixed order, so that two processes cannot deadlock
            if not _fill(session, bucket, limit, now):
                raise ThrottledError(_wait(session, bucket, limit, now))


def refund(buckets: Sequence[str], limit: Limit) -> None:
    """Take back one attempt that turned out to be correct."""
    with transaction() as session:
        session.execute(
            sa.update(Throttle)
            .where(Throttle.bucket.in_(buckets))
            .values(empty_at=Throttle.empty_at - limit.interval)
        )


def account_bucket(name_key: str) -> str:
    """Return the bucket of an account, whether the account exists or not."""
    return _bucket("account", name_key)


def device_bucket(device: str) -> str:
    """Return the bucket of a known device."""
    return _bucket("device", device)


def session_bucket(session_id: int) -> str:
    """Return the bucket of an open session."""
    return _bucket("session", str(session_id))


def address_bucket(purpose: str) -> str:
    """Return the bucket of the request's address; an IPv6 /64 is one subscriber, so it is one bucket."""
    return _bucket(f"address:{purpose}", _network(request.remote_addr or ""))


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a proxy may hide the address behind a name such as "unknown"
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def _bucket(kind: str, value: str) -> str:
    """Hash with a key, so that the table holds neither names nor addresses."""
    return hmac.new(settings().secret_key.encode(), f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()


def _fill(session: Session, bucket: str, limit: Limit, now: float) -> bool:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    # A bucket cannot hold more than the burst. One that seems to is from before the clock was set back: it
    # counts as full but for one attempt, so that nobody has to wait for the old time to come again.
    most = now + limit.burst * limit.interval + CLOCK_SLACK
    later = sa.case(
        (Throttle.empty_at > most, now + _tolerance(limit)),
        (Throttle.empty_at > now, Throttle.empty_at),
        else_=now,
    )
    statement = (
        insert(Throttle)
        .values(bucket=bucket, empty_at=now + limit.interval)
        .on_conflict_do_update(
            index_elements=[Throttle.bucket],
            set_={"empty_at": later + limit.interval},
            where=sa.or_(Throttle.empty_at <= now + _tolerance(limit), Throttle.empty_at > most),
        )
        .returning(Throttle.bucket)
    )
    return session.scalar(statement) is not None


def _tolerance(limit: Limit) -> float:
    """Return how far ahead of the steady rate a bucket may be, in seconds."""
    return (limit.burst - 1) * limit.interval


def _wait(session: Session, bucket: str, limit: Limit, now: float) -> float:
    empty_at = session.scalar(sa.select(Throttle.empty_at).where(Throttle.bucket == bucket)) or now
    return empty_at - _tolerance(limit) - now
