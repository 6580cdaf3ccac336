"""Searches as templates and programs see them; used by `app.searches`, `app.history` and `app.api`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import url_for

from app import queue
from app.database import Search, SearchKind, SearchResult, SearchStatus
from app.gallery import current
from app.gallery.urls import file_exists, image_url, thumb_url
from app.messages import QUEUE_DOWN, message, retryable
from app.searches import service
from gallery.catalog import Catalog, Item


@dataclass(frozen=True, slots=True)
class ResultView:
    """One hit; `known` is the item in the current index, if it is still there.

    Addresses are built and files are looked up on access: a history page has two hundred hits, shows half of
    them, and needs no file.
    """

    rank: int
    score: float
    item: str
    name: str
    sha256: str
    width: int
    height: int
    catalog: Catalog | None = field(repr=False)
    known: Item | None

    @property
    def thumb_url(self) -> str:
        """The address of the thumbnail."""
        return thumb_url(self.item, self.sha256)

    @property
    def image_url(self) -> str:
        """The address of the full picture."""
        return image_url(self.item, self.sha256)

    @property
    def item_url(self) -> str:
        """The address of the item's page."""
        return url_for("gallery.item", item_id=self.item)

    @property
    def exists(self) -> bool:
        """Whether the gallery still has the item and its file."""
        return self.catalog is not None and self.known is not None and file_exists(self.catalog, self.known)


@dataclass(frozen=True, slots=True)
class SearchView:
    """A search with everything that a page shows of it."""

    id: uuid.UUID
    status: str
    stage: str
    position: int | None
    kind: str
    name: str
    picture_url: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    seconds: float | None
    searched: int | None
    model: str | None
    error_code: str | None
    error: str | None
    retryable: bool
    notice: str | None
    results: list[ResultView]


def view(search: Search) -> SearchView:
    """Return the view of a search that was loaded with its upload and results."""
    return views([search])[0]


def views(searches: Sequence[Search]) -> list[SearchView]:
    """Return the views of several searches, with one query of the index for all their hits."""
    catalog = current.catalog()
    hits = [result.item_id for search in searches for result in search.results]
    known = catalog.find(hits) if catalog else {}
    return [_view(search, catalog, known) for search in searches]


def _view(search: Search, catalog: Catalog | None, known: Mapping[str, Item]) -> SearchView:
    waiting = search.status == SearchStatus.QUEUED
    name, picture_url = _query(search, catalog)
    code = search.error_code
    return SearchView(
        id=search.id,
        status=search.status.value,
        stage=search.stage.value,
        position=service.position(search) if waiting else None,
        kind=search.kind.value,
        name=name,
        picture_url=picture_url,
        created=search.created,
        started=search.started,
        finished=search.finished,
        seconds=search.seconds,
        searched=search.searched,
        model=search.model,
        error_code=code,
        error=str(message(code)) if code else None,
        retryable=_has_picture(search) and (code is None or retryable(code)),
        notice=str(QUEUE_DOWN) if waiting and not queue.ping() else None,
        results=[_result(result, catalog, known) for result in search.results],
    )


def as_json(shown: SearchView) -> dict[str, Any]:
    """Return the JSON that `searches.status` and the API answer."""
    return {
        "id": str(shown.id),
        "status": shown.status,
        "stage": shown.stage,
        "position": shown.position,
        "picture_url": shown.picture_url,
        "results": [
            {
                "rank": result.rank,
                "score": result.score,
                "item": result.item,
                "name": result.name,
                "thumb_url": result.thumb_url,
                "image_url": result.image_url,
                "item_url": result.item_url,
                "width": result.width,
                "height": result.height,
            }
            for result in shown.results
        ],
        "error": {"code": shown.error_code, "message": shown.error} if shown.error_code else None,
        "searched": shown.searched,
        "seconds": shown.seconds,
        "model": shown.model,
        "notice": shown.notice,
    }


def _query(search: Search, catalog: Catalog | None) -> tuple[str, str | None]:
    """Return the name and the address of the query picture."""
    if search.kind == SearchKind.UPLOAD:
        if search.upload is None or search.upload.preview_name is None:
            return search.upload.filename if search.upload else "", None
        return search.upload.filename, url_for("searches.picture", search_id=search.id)
    item = catalog.get(search.query_item or "") if catalog else None
    if item is None:
        return search.query_item or "", None
    return item.name, thumb_url(item.id, item.sha256)


def _has_picture(search: Search) -> bool:
    return search.query_item is not None or bool(search.upload and search.upload.files)


def _result(result: SearchResult, catalog: Catalog | None, known: Mapping[str, Item]) -> ResultView:
    return ResultView(
        rank=result.rank,
        score=result.score,
        item=result.item_id,
        name=result.name,
        sha256=result.sha256,
        width=result.width,
        height=result.height,
        catalog=catalog,
        known=known.get(result.item_id),
    )
