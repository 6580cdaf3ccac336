"""An uploaded picture."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UtcDateTime, utcnow
from app.database.owner import OwnedMixin, one_owner


class Upload(OwnedMixin, Base):
    """An uploaded picture.

    `filename` is the name that the browser sent; it is shown and never used as a path. `stored_name` is the
    file with the original bytes, kept until the worker has written `preview_name`, a re-encoded picture
    without metadata. `features` (float32, little-endian) and their `fingerprint` allow searching again
    without encoding.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        one_owner(),
        sa.Index("ix_uploads_user_id", "user_id"),
        sa.Index("ix_uploads_visitor", "visitor"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    filename: Mapped[str] = mapped_column(sa.String(255))
    stored_name: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    preview_name: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    format: Mapped[str] = mapped_column(sa.String(16))
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int]
    features: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    fingerprint: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)

    @property
    def files(self) -> list[str]:
        """The names of the files that belong to this row."""
        return [name for name in (self.stored_name, self.preview_name) if name]
