"""Errors as people and programs see them: what went wrong, what to do about it, and nothing of the inside."""

from __future__ import annotations

import errno
from typing import NamedTuple

from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import BadHost, HTTPException, SecurityError

from app.extensions import db

API = "api"
RETRY_SOON = 10  # seconds
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class RefusalError(Exception):
    """A request that is understood and refused.

    Parameters
    ----------
    code : str
        Stable, for programs.
    message : str
        What is wrong and what to do, in the reader's language.
    status : int
        Of HTTP.
    retry_after : int, optional
        Seconds after which it makes sense to try again.
    """

    def __init__(
        self, code: str, message: str | LazyString, status: int, retry_after: int | None = None
    ) -> None:
        super().__init__(code)
        self.code, self.message, self.status, self.retry_after = code, message, status, retry_after


class ThrottledError(Exception):
    """Too many tries; `wait` seconds until the next is admitted."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"throttled for {wait:.0f} s")
        self.wait = max(1, round(wait))


class Page(NamedTuple):
    """The words of an error page."""

    code: str
    title: LazyString
    mend: LazyString


PAGES = {
    400: Page(
        "bad_request", _l("This request cannot be understood"), _l("Go back, reload the page and try again.")
    ),
    401: Page("unauthorized", _l("Please log in"), _l("Log in, then try again.")),
    403: Page("forbidden", _l("This is not allowed"), _l("Log in with the account that it belongs to.")),
    404: Page("not_found", _l("There is nothing here"), _l("It was deleted, or it belongs to someone else.")),
    405: Page("method_not_allowed", _l("This address works another way"), _l("Start from the home page.")),
    413: Page("too_large", _l("This is too large"), _l("Choose a smaller picture.")),
    415: Page("unsupported_media_type", _l("This kind of content is not taken"), _l("Send a picture.")),
    429: Page("too_many_requests", _l("Too many tries"), _l("Wait a moment, then try again.")),
    500: Page("internal", _l("Something broke on our side"), _l("Try again; if it stays, tell the owner.")),
    503: Page("unavailable", _l("This is not possible right now"), _l("Try again in a moment.")),
}
PAGES |= {410: PAGES[404], 422: PAGES[415]}
EXPIRED = Page(
    "csrf",
    _l("This form has expired"),
    _l("Go back, reload the page and send it again. Cookies must be allowed for this site."),
)


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(RefusalError, _refused)
    app.register_error_handler(CSRFError, lambda error: respond(400, EXPIRED))
    app.register_error_handler(ThrottledError, _throttled)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SecurityError, _no_host)
    app.register_error_handler(BadHost, _no_host)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(PoolTimeoutError, _database_away)
    app.register_error_handler(OSError, _disk)
    app.register_error_handler(Exception, _unexpected)


def wants_json() -> bool:
    """Whether a program asks: the API's always, and pages' scripts, which accept JSON rather than HTML."""
    if request.path.startswith(f"/{API}/"):
        return True
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def error_json(code: str, message: str | LazyString) -> Response:
    """The one form that errors have for programs."""
    return jsonify(error={"code": code, "message": str(message)})


def respond(
    status: int,
    page: Page | None = None,
    message: str | LazyString | None = None,
    retry_after: int | None = None,
) -> Response:
    """Return an error as JSON or as a page.

    Parameters
    ----------
    status : int
        Of HTTP.
    page : Page, optional
        Other words than those of `status`.
    message : str, optional
        Further explanation.
    retry_after : int, optional
        Seconds.
    """
    page = page or PAGES.get(status) or PAGES[500 if status >= 500 else 400]
    if wants_json():
        response = error_json(page.code, message or f"{page.title}. {page.mend}")
    else:
        text = render_template("error.html", code=status, title=page.title, message=message, mend=page.mend)
        response = make_response(text)
    response.status_code = status
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _refused(error: RefusalError) -> ResponseReturnValue:
    page = PAGES.get(error.status, PAGES[400])._replace(code=error.code)
    return respond(error.status, page, error.message, error.retry_after)


def _throttled(error: ThrottledError) -> ResponseReturnValue:
    return respond(429, retry_after=error.wait)


def _no_host(_error: HTTPException) -> ResponseReturnValue:
    """Answer without a page, whose links would need the host; ours is not meant, or it is none at all."""
    return "This site does not answer to this name.", 400, {"Content-Type": "text/plain; charset=utf-8"}


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()
    response = respond(error.code)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "www-authenticate", "retry-after"):
            response.headers[name] = value
    return response


def _database_away(error: Exception) -> ResponseReturnValue:
    return _failed(503, "the database is not available", error, RETRY_SOON)


def _disk(error: OSError) -> ResponseReturnValue:
    if error.errno in DISK_ERRORS:
        return _failed(503, "the disk is full or cannot be written", error, RETRY_SOON)
    return _unexpected(error)


def _unexpected(error: Exception) -> ResponseReturnValue:
    return _failed(500, "unexpected error", error)


def _failed(status: int, event: str, error: Exception, retry_after: int | None = None) -> Response:
    """Log the error and answer without the database, which may be what failed."""
    current_app.logger.error(event, exc_info=error)
    g.failing = True
    _abandon_transaction()
    return respond(status, retry_after=retry_after)


def _abandon_transaction() -> None:
    try:
        db.session.rollback()
    except DBAPIError:
        db.session.remove()
