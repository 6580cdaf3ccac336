"""The gallery: pictures in, an index on disk, similar pictures out.

Called by the worker, the command line and the pages; usable from a notebook. The package imports `model`,
NumPy and Pillow, never `app` or Flask. Names below are loaded on first use, so that the web process can
import `gallery.catalog` without NumPy.

Reading order:

1. `gallery.manifest`, `gallery.generations`: what lies on disk, and how a new version replaces the old one.
2. `gallery.catalog`: the items, for pages. `gallery.store`: items and features, for searching.
   `gallery.engines`: how the nearest features are found.
3. `gallery.indexing`, the way from a folder to an index: `gallery.scanning` lists files,
   `gallery.reading` decodes them, `gallery.encoding` turns them into features, `gallery.featurelog` keeps
   these across interruptions, `gallery.thumbnails` and `gallery.writer` write the results.
4. Commands: `gallery.status`, `gallery.pruning`, `gallery.exchange`, `gallery.evaluation`, `gallery.demo`,
   `gallery.download`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gallery.catalog import Catalog, Item
    from gallery.indexing import Report, build
    from gallery.store import Store

__all__ = ["Catalog", "Item", "Report", "Store", "build"]

_MODULES = {
    "Catalog": "gallery.catalog",
    "Item": "gallery.catalog",
    "Report": "gallery.indexing",
    "Store": "gallery.store",
    "build": "gallery.indexing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
