"""Addresses of the gallery's pictures. They carry the content's hash, so that what they bring can be kept."""

from __future__ import annotations

from flask import Flask, url_for

from gallery.catalog import Catalog, Item
from gallery.errors import StoreError

VERSION_LENGTH = 16


def init_app(app: Flask) -> None:
    """Offer the addresses to templates."""
    app.add_template_global(lambda item: thumb_url(item.id, item.sha256), "thumb_url")
    app.add_template_global(lambda item: image_url(item.id, item.sha256), "image_url")


def thumb_url(item_id: str, sha256: str) -> str:
    """Return where the small picture of an item is."""
    return url_for("gallery.thumb", item_id=item_id, v=sha256[:VERSION_LENGTH])


def image_url(item_id: str, sha256: str) -> str:
    """Return where an item's picture is in full."""
    return url_for("gallery.image", item_id=item_id, v=sha256[:VERSION_LENGTH])


def is_there(catalog: Catalog, item: Item) -> bool:
    """Whether the item's file is still where it was indexed."""
    try:
        return catalog.file(item).is_file()
    except (StoreError, OSError):
        return False
