"""The pages for starting a search and showing its progress and results."""

from __future__ import annotations

import uuid

from flask import (
    Blueprint,
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from app.database import Search
from app.errors import RefusalError, wants_json
from app.gallery import current
from app.searches import service
from app.searches.forms import SearchForm
from app.searches.home import render_home
from app.searches.picture import send_picture
from app.searches.views import as_json, view
from app.visitor import current_owner, ensure_owner

bp = Blueprint("searches", __name__)


@bp.post("/searches")
def create() -> ResponseReturnValue:
    """Search with an uploaded picture."""
    image = request.files.get("image")
    try:
        search_id = service.search_upload(
            ensure_owner(),
            image.stream if image else None,  # type: ignore[arg-type]
            image.filename if image else None,
            request.form.get("submission"),
        )
    except RefusalError as refusal:
        if wants_json():
            raise
        return _refused_form(refusal)
    if wants_json():
        urls = {"url": _url(search_id), "status_url": url_for("searches.status", search_id=search_id)}
        return jsonify(id=str(search_id), **urls), 201
    return redirect(_url(search_id), 303)


@bp.get("/searches/<uuid:search_id>")
def show(search_id: uuid.UUID) -> ResponseReturnValue:
    """Show a search: its stages while it runs, then its results."""
    return render_template("search.html", search=view(_find(search_id)))


@bp.get("/searches/<uuid:search_id>/status")
def status(search_id: uuid.UUID) -> ResponseReturnValue:
    """Return the search as JSON, for the script that polls it."""
    return jsonify(as_json(view(_find(search_id))))


@bp.get("/searches/<uuid:search_id>/picture")
def picture(search_id: uuid.UUID) -> Response:
    """Send the re-encoded query picture."""
    return send_picture(_find(search_id))


@bp.post("/searches/<uuid:search_id>/again")
def again(search_id: uuid.UUID) -> ResponseReturnValue:
    """Search again with the same picture."""
    search = _find(search_id)
    return redirect(_url(service.search_again(ensure_owner(), search)), 303)


@bp.post("/gallery/<item_id>/similar")
def similar(item_id: str) -> ResponseReturnValue:
    """Search with an item of the gallery."""
    catalog = current.catalog()
    if catalog is None or catalog.get(item_id) is None:
        abort(404)
    return redirect(_url(service.search_item(ensure_owner(), item_id)), 303)


def _find(search_id: uuid.UUID) -> Search:
    return service.find(current_owner(), search_id) or abort(404)


def _url(search_id: uuid.UUID) -> str:
    return url_for("searches.show", search_id=search_id)


def _refused_form(refusal: RefusalError) -> Response:
    """Show the form again with the error next to it."""
    form = SearchForm(formdata=None)
    form.image.errors = [refusal.message]
    response = make_response(render_home(form), refusal.status)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
