"""The owner of a row: an account, or a visitor, which is a browser that is not logged in."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

VISITOR_LENGTH = 64  # SHA-256 in hexadecimal of the key in the browser's session


@dataclass(frozen=True, slots=True)
class Owner:
    """An account or a visitor; exactly one of the two is set."""

    user_id: int | None = None
    visitor: str | None = None

    def __post_init__(self) -> None:
        if (self.user_id is None) == (self.visitor is None):
            raise ValueError("an owner is either an account or a visitor")


class OwnedMixin:
    """The columns of a table whose rows have an `Owner`."""

    @declared_attr
    @classmethod
    def user_id(cls) -> Mapped[int | None]:
        """The id of the account, if any."""
        return mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))

    @declared_attr
    @classmethod
    def visitor(cls) -> Mapped[str | None]:
        """The hashed key of the visitor, if any."""
        return mapped_column(sa.String(VISITOR_LENGTH))

    @classmethod
    def owned_by(cls, owner: Owner) -> sa.ColumnElement[bool]:
        """Return the condition that a row belongs to `owner`."""
        if owner.user_id is not None:
            return sa.and_(cls.user_id == owner.user_id)
        return sa.and_(cls.visitor == owner.visitor)


def one_owner() -> sa.CheckConstraint:
    """Return the constraint that a row has either an account or a visitor."""
    return sa.CheckConstraint("(user_id IS NULL) <> (visitor IS NULL)", name="one_owner")
