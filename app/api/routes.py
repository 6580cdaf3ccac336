"""Version 1 of the API. A bearer token identifies the account; cookies are ignored."""

from __future__ import annotations

import math
import shutil
import tempfile
import uuid
from typing import BinaryIO, cast

from flask import Blueprint, Flask, Response, abort, current_app, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from app.accounts import tokens
from app.api.waiting import WaitSlots
from app.database import Owner
from app.errors import RefusalError, respond
from app.searches import service
from app.searches.picture import send_picture
from app.searches.views import as_json, view

IN_MEMORY = 512 * 1024  # bytes of a picture that are kept in memory before it moves to a file
BEARER = "bearer"
PARAMETERS = ("wait",)
IMAGE = "image"

bp = Blueprint("api", __name__, url_prefix="/api/v1")


def init_app(app: Flask) -> None:
    """Register the routes, and let half of the web threads wait for searches."""
    app.extensions["vitrine_waiting"] = WaitSlots(max(1, app.config["VITRINE"].web_threads // 2))
    app.register_blueprint(bp)


@bp.before_request
def authenticate() -> ResponseReturnValue | None:
    """Find the account of the bearer token, or answer 401."""
    sent = request.authorization
    if sent is None or sent.type != BEARER or not sent.token:
        message = _("Send the header “Authorization: Bearer TOKEN”. Create a token on the account page.")
        return _unauthorized(message, 'Bearer realm="Vitrine"')
    user_id = tokens.holder(sent.token)
    if user_id is None:
        message = _("The bearer token is unknown or has been revoked. Create a new one on the account page.")
        return _unauthorized(message, 'Bearer realm="Vitrine", error="invalid_token"')
    g.owner = Owner(user_id=user_id)
    return None


@bp.before_request
def check_parameters() -> None:
    """Refuse unknown query parameters, so that a program does not believe they have an effect."""
    unknown = [name for name in request.args if name not in PARAMETERS]
    if unknown:
        message = _(
            "Unknown parameter “%(name)s”. The API accepts: %(names)s.",
            name=unknown[0],
            names=", ".join(PARAMETERS),
        )
        raise RefusalError("unknown_parameter", message, 400)


@bp.post("/searches")
def create() -> ResponseReturnValue:
    """Search with the picture in the request body, or in the form field ``image``.

    Requests with the same ``Idempotency-Key`` header are one search.
    """
    submission = request.headers.get("Idempotency-Key")
    if request.mimetype == "multipart/form-data":
        image = request.files.get(IMAGE)
        if image is None and (others := [*request.files, *request.form]):
            raise RefusalError("empty", _wrong_field(others), 400)
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
    """Return a search: its state and its results."""
    return _answer(search_id)


@bp.get("/searches/<uuid:search_id>/picture")
def picture(search_id: uuid.UUID) -> Response:
    """Send the re-encoded query picture."""
    return send_picture(service.find(g.owner, search_id))


def _unauthorized(message: str, challenge: str) -> Response:
    response = respond(401, message=message)
    response.headers["WWW-Authenticate"] = challenge
    return response


def _wrong_field(names: list[str]) -> str:
    message: str = _(
        "The form has no file field “%(expected)s”, only %(names)s. Send the picture as “%(expected)s”.",
        expected=IMAGE,
        names=", ".join(f"“{name}”" for name in names),
    )
    return message


def _answer(search_id: uuid.UUID) -> Response:
    """Return the search after waiting for it for up to ``?wait=`` seconds, 30 at most."""
    if service.find(g.owner, search_id) is None:
        abort(404)
    seconds = request.args.get("wait", 0.0, type=float)
    if math.isfinite(seconds):
        cast(WaitSlots, current_app.extensions["vitrine_waiting"]).wait(search_id, seconds)
    search = service.find(g.owner, search_id)
    if search is None:  # deleted in the meantime
        abort(404)
    shown = view(search)
    url = url_for("api.show", search_id=search_id)
    answer = as_json(shown) | {"url": url, "status_url": url}
    if search.upload is not None and shown.picture_url:  # the address for pages needs a cookie
        answer["picture_url"] = url_for("api.picture", search_id=search_id)
    return jsonify(answer)
