"""Server-side sessions: the cookie holds the key of a row, and deleting the row logs the browser out.

Called by `routes`; flask-login calls `_load` on every request.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Flask, g, request, session
from flask_login import UserMixin, current_user, login_user, logout_user

from app.accounts import devices
from app.database import User, UserSession, utcnow
from app.digests import digest
from app.extensions import db, login_manager
from app.transactions import transaction

LIFETIME = timedelta(days=1)
REMEMBERED = timedelta(days=30)


@dataclass(frozen=True)
class Identity(UserMixin):  # type: ignore[misc]
    """The logged-in account as plain values, which stay readable after the row is deleted."""

    id: int
    name: str
    created: datetime
    session_id: int
    token: str = field(repr=False)

    def get_id(self) -> str:
        """Return what the cookies hold: the key of the session, not the id of the account."""
        return self.token


def init_app(app: Flask) -> None:
    """Let flask-login look up the logged-in account by the row of its session."""
    login_manager.session_protection = None  # it would trust a header that anyone can send
    login_manager.user_loader(_load)
    login_manager.init_app(app)


def begin(user_id: int, *, remember: bool) -> None:
    """Log in with a new session in the database and in the cookie, which prevents session fixation."""
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
        devices.remember(user.id, user.password_hash)
        identity = Identity(user.id, user.name, user.created, row.id, token)
    session.clear()
    login_user(identity, remember=remember, duration=lifetime)


def end() -> None:
    """Log out this browser."""
    if current_user.is_authenticated:
        with transaction() as database:
            database.execute(sa.delete(UserSession).where(UserSession.id == current_user.session_id))
    forget()


def end_all(user_id: int) -> None:
    """Log out every browser of an account."""
    with transaction() as database:
        database.execute(sa.delete(UserSession).where(UserSession.user_id == user_id))


def forget() -> None:
    """Clear the cookies of this browser after its row has been deleted."""
    session.clear()
    logout_user()


def active(user_id: int) -> list[UserSession]:
    """Return the sessions of an account, newest first."""
    current = sa.select(UserSession).where(UserSession.user_id == user_id, UserSession.expires > utcnow())
    return list(db.session.scalars(current.order_by(UserSession.created.desc())))


def _load(token: str) -> Identity | None:
    if g.get("failing"):  # the error page must not depend on the database that has just failed
        return None
    row = db.session.scalar(
        sa.select(UserSession).where(UserSession.token_hash == digest(token), UserSession.expires > utcnow())
    )
    if row is None:
        return None
    return Identity(row.user.id, row.user.name, row.user.created, row.id, token)
