"""Send the re-encoded picture of a search; used by the pages and the API."""

from __future__ import annotations

from flask import Response, abort, send_file

from app.database import Search
from app.gallery.files import PICTURE_POLICY
from app.uploads import storage


def send_picture(search: Search | None) -> Response:
    """Send the query picture of a search; 404 if there is no search, or no picture of it."""
    upload = search.upload if search is not None else None
    if upload is None or upload.preview_name is None:
        abort(404)
    try:
        response = send_file(
            storage.path_of(upload.preview_name),
            mimetype=storage.preview_type(upload.preview_name),
            etag=upload.preview_name,
        )
    except FileNotFoundError:
        abort(404)
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    response.headers["Cache-Control"] = "private, no-cache"
    return response
