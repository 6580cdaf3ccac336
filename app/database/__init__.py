"""The tables. They do not import Flask; `app.extensions.db` binds them to an application."""

from __future__ import annotations

from sqlalchemy.orm import configure_mappers

from app.database.base import Base, database_now, utcnow
from app.database.coordination import ADMISSION, RECONCILER, Lease, Throttle
from app.database.owner import Owner
from app.database.search import PENDING, Search, SearchKind, SearchResult, SearchStage, SearchStatus
from app.database.site import Site
from app.database.upload import Upload
from app.database.user import ApiToken, User, UserSession

__all__ = [
    "ADMISSION",
    "PENDING",
    "RECONCILER",
    "ApiToken",
    "Base",
    "Lease",
    "Owner",
    "Search",
    "SearchKind",
    "SearchResult",
    "SearchStage",
    "SearchStatus",
    "Site",
    "Throttle",
    "Upload",
    "User",
    "UserSession",
    "database_now",
    "utcnow",
]

# Otherwise the first query would do it, which costs 20 ms in every process that is forked for a search.
configure_mappers()
