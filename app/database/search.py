"""A search and its results. The row is authoritative; the queue only makes the search run soon."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database.base import Base, UtcDateTime, enum_column, utcnow
from app.database.owner import OwnedMixin, one_owner
from app.database.upload import Upload


class SearchStatus(StrEnum):
    """The status of a search. `DONE` and `FAILED` are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class SearchStage(StrEnum):
    """The stage of a search, shown on the page that waits for it."""

    WAITING = "waiting"
    ENCODING = "encoding"
    COMPARING = "comparing"
    DONE = "done"
    FAILED = "failed"


class SearchKind(StrEnum):
    """The kind of query: an uploaded picture, or an item of the gallery."""

    UPLOAD = "upload"
    ITEM = "item"


PENDING = (SearchStatus.QUEUED, SearchStatus.RUNNING)


class Search(OwnedMixin, Base):
    """One search.

    `attempt` counts the claims and fences their writes: a write of an earlier attempt matches no row.
    `submission` is the token of the form, so that a form that is sent twice is one search.
    """

    __tablename__ = "searches"
    __table_args__ = (
        one_owner(),
        sa.CheckConstraint("(upload_id IS NULL) <> (query_item IS NULL)", name="one_query"),
        sa.UniqueConstraint("user_id", "submission"),
        sa.UniqueConstraint("visitor", "submission"),
        sa.Index("ix_searches_status_created", "status", "created"),
        sa.Index("ix_searches_user_id_created", "user_id", "created"),
        sa.Index("ix_searches_visitor_created", "visitor", "created"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[SearchKind] = mapped_column(enum_column(SearchKind, "kind"))
    upload_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("uploads.id"), index=True)
    query_item: Mapped[str | None] = mapped_column(sa.String(16))
    submission: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[SearchStatus] = mapped_column(
        enum_column(SearchStatus, "status"), default=SearchStatus.QUEUED
    )
    stage: Mapped[SearchStage] = mapped_column(enum_column(SearchStage, "stage"), default=SearchStage.WAITING)
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_code: Mapped[str | None] = mapped_column(sa.String(32))
    created: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    started: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seconds: Mapped[float | None]
    searched: Mapped[int | None]
    generation: Mapped[str | None] = mapped_column(sa.String(64))
    model: Mapped[str | None] = mapped_column(sa.String(64))

    upload: Mapped[Upload | None] = relationship()
    results: Mapped[list[SearchResult]] = relationship(
        order_by="SearchResult.rank", cascade="all, delete-orphan", passive_deletes=True
    )


class SearchResult(Base):
    """One hit as it was when the search ran, readable even if the gallery has changed since."""

    __tablename__ = "search_results"

    search_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    score: Mapped[float]
    item_id: Mapped[str] = mapped_column(sa.String(16))
    name: Mapped[str] = mapped_column(sa.Text)
    path: Mapped[str] = mapped_column(sa.Text)
    sha256: Mapped[str] = mapped_column(sa.String(64))
    width: Mapped[int]
    height: Mapped[int]
