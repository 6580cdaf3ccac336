"""Bearer tokens of the API."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from app.database import ApiToken
from app.digests import digest
from app.extensions import db
from app.transactions import transaction

PREFIX = "vitrine_"
MAX_TOKENS = 20
LARGEST_ID = 2**31 - 1  # a larger number is an error to PostgreSQL, not merely unknown


class TooManyTokensError(Exception):
    """An account has as many tokens as it may."""


def create(user_id: int, name: str) -> str:
    """Make a token and return it: the only time that it can be read.

    Raises
    ------
    TooManyTokensError
        The account has `MAX_TOKENS` already.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    with transaction() as session:
        held = session.scalar(
            sa.select(sa.func.count()).select_from(ApiToken).where(ApiToken.user_id == user_id)
        )
        if (held or 0) >= MAX_TOKENS:
            raise TooManyTokensError
        session.add(ApiToken(token_hash=digest(token), user_id=user_id, name=name))
    return token


def revoke(user_id: int, token_id: int) -> bool:
    """Delete one of the account's tokens; False where it has none such."""
    if token_id > LARGEST_ID:
        return False
    mine = sa.delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id)
    with transaction() as session:
        return session.scalar(mine.returning(ApiToken.id)) is not None


def of(user_id: int) -> list[ApiToken]:
    """Return the account's tokens, the newest first."""
    mine = sa.select(ApiToken).where(ApiToken.user_id == user_id)
    return list(db.session.scalars(mine.order_by(ApiToken.created.desc())))


def holder(token: str) -> int | None:
    """Return the account that a token belongs to."""
    return db.session.scalar(sa.select(ApiToken.user_id).where(ApiToken.token_hash == digest(token)))
