"""The pages for browsing the gallery."""

from __future__ import annotations

import math

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from app.gallery import current, files
from app.gallery.urls import file_exists
from gallery.catalog import Catalog, Item

PAGE_SIZE = 60
QUERY_LENGTH = 100

bp = Blueprint("gallery", __name__)


@bp.get("/gallery")
def index() -> ResponseReturnValue:
    """List the items of the gallery, optionally only those whose path contains ``q``."""
    q = request.args.get("q", "").strip()[:QUERY_LENGTH]
    page = max(1, request.args.get("page", 1, type=int))
    catalog = current.catalog()
    total = catalog.count(q) if catalog else 0
    pages = max(1, math.ceil(total / PAGE_SIZE))
    if page > pages:
        abort(404)
    items = catalog.page((page - 1) * PAGE_SIZE, PAGE_SIZE, q) if catalog else []
    return render_template("gallery.html", items=items, page=page, pages=pages, q=q, total=total)


@bp.get("/gallery/<item_id>")
def item(item_id: str) -> ResponseReturnValue:
    """Show one item."""
    catalog, found = _found(item_id)
    return render_template("item.html", item=found, exists=file_exists(catalog, found))


@bp.get("/gallery/<item_id>/thumb")
def thumb(item_id: str) -> Response:
    """Send the thumbnail of an item."""
    return files.send_thumb(_found(item_id)[1])


@bp.get("/gallery/<item_id>/image")
def image(item_id: str) -> Response:
    """Send the picture of an item."""
    return files.send_image(*_found(item_id))


def _found(item_id: str) -> tuple[Catalog, Item]:
    catalog = current.catalog()
    found = catalog.get(item_id) if catalog else None
    if catalog is None or found is None:
        abort(404)
    return catalog, found
