"""The open catalog of this process, shared by all threads and replaced when there is a new generation."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import Flask, current_app

from gallery.catalog import Catalog
from gallery.errors import StoreError

CHECK_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """Facts about the gallery that every page shows."""

    count: int
    attribution: str
    missing: bool


class CatalogHolder:
    """Open the catalog when it is first needed, and reopen it when it is stale.

    A replaced catalog is not closed here: other threads may still read it, and it closes itself when the last
    reference is gone.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None
        self._checked = 0.0

    def get(self) -> Catalog:
        """Return the catalog of the current generation; raise StoreError if there is none."""
        with self._lock:
            if self._catalog is None or self._changed(self._catalog):
                self._catalog = None
                self._catalog = Catalog.open(self._index_dir)
            return self._catalog

    def _changed(self, catalog: Catalog) -> bool:
        now = time.monotonic()
        if now - self._checked < CHECK_EVERY:
            return False
        self._checked = now
        return catalog.stale()


def init_app(app: Flask) -> None:
    """Register the catalog, which is opened when it is first needed."""
    app.extensions["vitrine_catalog"] = CatalogHolder(app.config["VITRINE"].index_dir)


def catalog() -> Catalog | None:
    """Return the catalog of the current generation; None if there is no readable index."""
    holder = cast(CatalogHolder, current_app.extensions["vitrine_catalog"])
    try:
        return holder.get()
    except StoreError as error:
        current_app.logger.debug("no index", extra={"code": error.code})
        return None


def gallery_info() -> GalleryInfo:
    """Return the facts about the gallery that every page shows."""
    current = catalog()
    if current is None:
        return GalleryInfo(count=0, attribution="", missing=True)
    return GalleryInfo(len(current), current.manifest.attribution, missing=False)
