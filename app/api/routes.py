"""Version 1 of the API. Requests are known by their bearer token alone; cookies are not looked at."""

from __future__ import annotations

import math
import shutil
import tempfile
import uuid
from typing import BinaryIO, cast

from flask import Blueprint, Flask, Response, abort, current_app, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from app.accounts import tokens
from app.api.waiting import WaitingRoom
from app.database import Owner
from app.errors import respond
from app.searches import service
from app.searches.views import as_json, view

IN_MEMORY = 512 * 1024  # bytes of a picture that are held in memory before it goes to a file
BEARER = "bearer"

bp = Blueprint("api", __name__, url_prefix="/api/v1")


def init_app(app: Flask) -> None:
    """Let half of the web process's threads wait for searches, and register the routes."""
    app.extensions["vitrine_waiting"] = WaitingRoom(max(1, app.config["VITRINE"].web_threads // 2))
    app.register_blueprint(bp)


@bp.before_request
def authenticate() -> ResponseReturnValue | None:
    """Find whose token it is."""
    sent = request.authorization
    user_id = None
    if sent is not None and sent.type == BEARER and sent.token:
        user_id = tokens.holder(sent.token)
    if user_id is None:
        refused = respond(401)
        refused.headers["WWW-Authenticate"] = 'Bearer realm="Vitrine"'
        return refused
    g.owner = Owner(user_id=user_id)
    return None


@bp.post("/searches")
def create() -> ResponseReturnValue:
    """Search with the picture that is the request's body, or its form's ``image``.

    The header ``Idempotency-Key`` makes a request that is sent again the same search.
    """
    submission = request.headers.get("Idempotency-Key")
    if request.mimetype == "multipart/form-data":
        image = request.files.get("image")
        stream = cast(BinaryIO, image.stream) if image else None
        search_id = service.search_upload(g.owner, stream, image.filename if image else None, submission)
    else:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as body:
            shutil.copyfileobj(request.stream, body)
            search_id = service.search_upload(g.owner, cast(BinaryIO, body), None, submission)
    answer = _answer(search_id)
    answer.status_code = 201
    answer.headers["Location"] = url_for("api.show", search_id=search_id)
    return answer


@bp.get("/searches/<uuid:search_id>")
def show(search_id: uuid.UUID) -> ResponseReturnValue:
    """How a search stands, and what it found."""
    return _answer(search_id)


def _answer(search_id: uuid.UUID) -> Response:
    """Return the search, after waiting for it as long as ``?wait=`` says, at most 30 seconds."""
    if service.find(g.owner, search_id) is None:
        abort(404)
    seconds = request.args.get("wait", 0.0, type=float)
    if math.isfinite(seconds):
        cast(WaitingRoom, current_app.extensions["vitrine_waiting"]).wait(search_id, seconds)
    search = service.find(g.owner, search_id)
    if search is None:  # deleted meanwhile
        abort(404)
    url = url_for("api.show", search_id=search_id)
    return jsonify(as_json(view(search)) | {"url": url, "status_url": url})
