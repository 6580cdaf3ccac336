"""Sign-ins, kept on the server: the cookie is a key to a row, and without the row it opens nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Flask, g, request, session
from flask_login import UserMixin, current_user, login_user, logout_user

from app.database import User, UserSession, utcnow
from app.digests import digest
from app.extensions import db, login_manager
from app.transactions import transaction

LIFETIME = timedelta(days=1)
REMEMBERED = timedelta(days=30)


@dataclass(frozen=True)
class Identity(UserMixin):  # type: ignore[misc]
    """Who is signed in, as plain values: they stay readable when the row has gone."""

    id: int
    name: str
    created: datetime
    session_id: int
    token: str = field(repr=False)

    def get_id(self) -> str:
        """What the cookies hold: the session's key, not the account's id."""
        return self.token


def init_app(app: Flask) -> None:
    """Let flask-login find who is signed in by the session's row."""
    login_manager.session_protection = None  # would trust a header that anybody can send
    login_manager.user_loader(_load)
    login_manager.init_app(app)


def begin(user_id: int, *, remember: bool) -> None:
    """Sign in: a new session on both sides, so that one planted before is worth nothing."""
    token = secrets.token_urlsafe(32)
    lifetime = REMEMBERED if remember else LIFETIME
    with transaction() as database:
        user = database.get_one(User, user_id)
        row = UserSession(
            token_hash=digest(token),
            user_id=user.id,
            user_agent=request.headers.get("User-Agent", "")[:200],
            expires=utcnow() + lifetime,
        )
        database.add(row)
        database.flush()
        identity = Identity(user.id, user.name, user.created, row.id, token)
    session.clear()
    login_user(identity, remember=remember, duration=lifetime)


def end() -> None:
    """Sign out this browser."""
    if current_user.is_authenticated:
        with transaction() as database:
            database.execute(sa.delete(UserSession).where(UserSession.id == current_user.session_id))
    forget()


def end_all(user_id: int) -> None:
    """Sign out every browser of an account."""
    with transaction() as database:
        database.execute(sa.delete(UserSession).where(UserSession.user_id == user_id))


def forget() -> None:
    """Drop this browser's cookies, whose row has been deleted."""
    session.clear()
    logout_user()


def active(user_id: int) -> list[UserSession]:
    """Return where the account is signed in, the newest first."""
    mine = sa.select(UserSession).where(UserSession.user_id == user_id, UserSession.expires > utcnow())
    return list(db.session.scalars(mine.order_by(UserSession.created.desc())))


def _load(token: str) -> Identity | None:
    if g.get("failing"):  # the error page must not fail over the database that brought it here
        return None
    row = db.session.scalar(
        sa.select(UserSession).where(UserSession.token_hash == digest(token), UserSession.expires > utcnow())
    )
    if row is None:
        return None
    return Identity(row.user.id, row.user.name, row.user.created, row.id, token)
