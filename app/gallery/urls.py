"""Addresses of gallery pictures. They contain a hash of the content, so that responses can be cached."""

from __future__ import annotations

from flask import Flask, url_for

from app.context import private_folders
from gallery.catalog import Catalog, Item
from gallery.errors import StoreError
from gallery.originals import open_original

VERSION_LENGTH = 16


def init_app(app: Flask) -> None:
    """Make the addresses available in templates."""
    app.add_template_global(lambda item: thumb_url(item.id, item.sha256), "thumb_url")
    app.add_template_global(lambda item: image_url(item.id, item.sha256), "image_url")


def thumb_url(item_id: str, sha256: str) -> str:
    """Return the address of an item's thumbnail."""
    return url_for("gallery.thumb", item_id=item_id, v=sha256[:VERSION_LENGTH])


def image_url(item_id: str, sha256: str) -> str:
    """Return the address of an item's full picture."""
    return url_for("gallery.image", item_id=item_id, v=sha256[:VERSION_LENGTH])


def file_exists(catalog: Catalog, item: Item) -> bool:
    """Return whether the file of an item is still where it was indexed, and a picture."""
    try:
        open_original(catalog, item, private_folders()).file.close()
    except (StoreError, OSError):
        return False
    return True
