"""Bearer tokens of the API; called by `routes` and by `app.api`."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from app.database import ApiToken
from app.digests import digest
from app.extensions import db
from app.transactions import transaction

PREFIX = "vitrine_"
MAX_TOKENS = 20
LARGEST_ID = 2**31 - 1  # PostgreSQL raises an error for a larger number


class TooManyTokensError(Exception):
    """The account already has `MAX_TOKENS` tokens."""


def create(user_id: int, name: str) -> str:
    """Create a token and return it; only its hash is stored, so it cannot be read again.

    Raises
    ------
    TooManyTokensError
        The account already has `MAX_TOKENS` tokens.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    with transaction() as session:
        count = session.scalar(
            sa.select(sa.func.count()).select_from(ApiToken).where(ApiToken.user_id == user_id)
        )
        if (count or 0) >= MAX_TOKENS:
            raise TooManyTokensError
        session.add(ApiToken(token_hash=digest(token), user_id=user_id, name=name))
    return token


def revoke(user_id: int, token_id: int) -> bool:
    """Delete a token of the account; return False if it has no such token."""
    if token_id > LARGEST_ID:
        return False
    delete = sa.delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id)
    with transaction() as session:
        return session.scalar(delete.returning(ApiToken.id)) is not None


def of(user_id: int) -> list[ApiToken]:
    """Return the tokens of an account, newest first."""
    tokens = sa.select(ApiToken).where(ApiToken.user_id == user_id)
    return list(db.session.scalars(tokens.order_by(ApiToken.created.desc())))


def holder(token: str) -> int | None:
    """Return the id of the account that a token belongs to."""
    return db.session.scalar(sa.select(ApiToken.user_id).where(ApiToken.token_hash == digest(token)))
