"""The catalog that this process has open: one for all threads, exchanged when a new generation is in use."""

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
    """What every page says of the gallery."""

    count: int
    attribution: str
    missing: bool


class CatalogHolder:
    """Opens the catalog when it is first asked for, and again when it is stale.

    A catalog that was exchanged is not closed here: other threads may still read it, and it closes itself
    when the last of them lets go.
    """

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None
        self._checked = 0.0

    def get(self) -> Catalog:
        """Return the catalog of the generation in use; raises StoreError where there is none."""
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
    """Prepare the application's catalog; it is opened when first needed."""
    app.extensions["vitrine_catalog"] = CatalogHolder(app.config["VITRINE"].index_dir)


def catalog() -> Catalog | None:
    """Return the catalog of the generation in use; None where there is no index that can be read."""
    holder = cast(CatalogHolder, current_app.extensions["vitrine_catalog"])
    try:
        return holder.get()
    except StoreError as error:
        current_app.logger.debug("no index", extra={"code": error.code})
        return None


def gallery_info() -> GalleryInfo:
    """Return what every page says of the gallery."""
    current = catalog()
    if current is None:
        return GalleryInfo(count=0, attribution="", missing=True)
    return GalleryInfo(len(current), current.manifest.attribution, missing=False)
