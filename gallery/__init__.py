"""The gallery: feature store, indexing, search, evaluation.

Names are loaded on first use, so that the web process can import `gallery.catalog` without NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gallery.catalog import Catalog, Item
    from gallery.indexing import Report, build
    from gallery.store import Store

__all__ = ["Catalog", "Item", "Report", "Store", "build"]

_HOMES = {
    "Catalog": "gallery.catalog",
    "Item": "gallery.catalog",
    "Report": "gallery.indexing",
    "Store": "gallery.store",
    "build": "gallery.indexing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
