"""Serve the files of the gallery with fixed media types, so that browsers can cache them."""

from __future__ import annotations

from pathlib import Path

from flask import Response, abort, request, send_file

from app.assets import ONE_YEAR
from app.context import settings
from app.gallery.urls import VERSION_LENGTH
from app.uploads.gate import shown_name
from gallery.catalog import Catalog, Item, thumbnail_file
from gallery.errors import StoreError
from model.pictures import BROWSER_FORMATS, MEDIA_TYPES

# Inline styles are allowed for the browser's own viewer, which centres a picture that is opened directly.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
THUMBNAIL_TYPE = "image/jpeg"


def send_thumb(item: Item) -> Response:
    """Send the thumbnail that was made during indexing."""
    return _send(thumbnail_file(settings().thumbnails_dir, item.sha256), THUMBNAIL_TYPE, item.sha256)


def send_image(catalog: Catalog, item: Item) -> Response:
    """Send the file of an item, or its large thumbnail if browsers cannot show the format."""
    if item.format not in BROWSER_FORMATS:
        large = thumbnail_file(settings().thumbnails_dir, item.sha256, large=True)
        if large.is_file():
            return _send(large, THUMBNAIL_TYPE, item.sha256)
    try:
        path = catalog.file(item)
    except StoreError:
        abort(404)
    media_type = MEDIA_TYPES.get(item.format, "application/octet-stream")
    return _send(path, media_type, item.sha256, download=item.format not in BROWSER_FORMATS)


def _send(path: Path, media_type: str, sha256: str, *, download: bool = False) -> Response:
    """Send a file; it may be cached only if the address contains the hash of this content."""
    current = request.args.get("v") == sha256[:VERSION_LENGTH]
    try:
        response = send_file(
            path,
            mimetype=media_type,
            as_attachment=download,
            download_name=shown_name(path.name) if download else None,
            etag=sha256,
            conditional=True,
            max_age=ONE_YEAR if current else None,
        )
    except OSError:  # deleted or not readable
        abort(404)
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    if current:
        response.cache_control.public = False  # set by send_file; a proxy in front may ask visitors to log in
        response.cache_control.private = True
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    return response
