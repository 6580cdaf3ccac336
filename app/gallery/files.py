"""Serve the files of the gallery with fixed media types, so that browsers can cache them."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO, TypeVar

from flask import Response, abort, request, send_file

from app.assets import ONE_YEAR
from app.context import private_folders, settings
from app.gallery.urls import VERSION_LENGTH
from app.uploads.gate import shown_name
from gallery.catalog import Catalog, Item
from gallery.errors import StoreError
from gallery.originals import open_original, open_thumbnail
from model.pictures import BROWSER_FORMATS, MEDIA_TYPES

# Inline styles are allowed for the browser's own viewer, which centres a picture that is opened directly.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
THUMBNAIL_TYPE = "image/jpeg"

T = TypeVar("T")


def send_thumb(item: Item) -> Response:
    """Send the thumbnail that was made during indexing."""
    return _send(_found(lambda: open_thumbnail(settings().thumbnails_dir, item)), THUMBNAIL_TYPE, item)


def send_image(catalog: Catalog, item: Item) -> Response:
    """Send the file of an item, or its large thumbnail if browsers cannot show the format."""
    if item.format not in BROWSER_FORMATS:
        try:
            large = open_thumbnail(settings().thumbnails_dir, item, large=True)
        except (OSError, StoreError):  # not made yet, or removed: offer the file itself
            pass
        else:
            return _send(large, THUMBNAIL_TYPE, item)
    file, kind = _found(lambda: open_original(catalog, item, private_folders()))
    return _send(file, MEDIA_TYPES[kind], item, download=kind not in BROWSER_FORMATS)


def _found(open_file: Callable[[], T]) -> T:
    try:
        return open_file()
    except (OSError, StoreError):  # deleted, not readable, or not a picture
        abort(404)


def _send(file: BinaryIO, media_type: str, item: Item, *, download: bool = False) -> Response:
    """Send an open file; it may be cached only if the address contains the hash of this content.

    The file is sent by its descriptor, not by its path, at which another file may lie by now.
    """
    current = request.args.get("v") == item.sha256[:VERSION_LENGTH]
    status = os.fstat(file.fileno())
    response = send_file(
        file,
        mimetype=media_type,
        as_attachment=download,
        download_name=shown_name(item.name) if download else None,
        etag=item.sha256,
        conditional=False,
        last_modified=datetime.fromtimestamp(max(0, int(status.st_mtime)), UTC),
        max_age=ONE_YEAR if current else None,
    )
    response.content_length = status.st_size
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    if current:
        response.cache_control.public = False  # set by send_file; a proxy in front may ask visitors to log in
        response.cache_control.private = True
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=status.st_size)
    except BaseException:  # a range outside of the file
        response.close()
        raise
    return response
