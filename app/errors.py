"""Error pages and JSON errors: what went wrong and what to do about it, without internals.

Every view may raise `RefusalError` or `ThrottledError`; the handlers here turn them, HTTP errors and
unexpected exceptions into answers. Imports only `app.extensions`.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString, ngettext
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
    """A request that was understood but is refused.

    Parameters
    ----------
    code : str
        A stable identifier for programs.
    message : str
        What is wrong and what to do about it, in the reader's language.
    status : int
        The HTTP status.
    retry_after : int, optional
        Seconds after which the request may succeed.
    """

    def __init__(
        self, code: str, message: str | LazyString, status: int, retry_after: int | None = None
    ) -> None:
        super().__init__(code)
        self.code, self.message, self.status, self.retry_after = code, message, status, retry_after


class ThrottledError(Exception):
    """Too many attempts; `wait` seconds until the next one is admitted."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"throttled for {wait:.0f} s")
        self.wait = max(1, round(wait))

    @property
    def message(self) -> str:
        """How long to wait, in the reader's language."""
        return str(
            ngettext(
                "Too many attempts. Wait %(num)s second, then try again.",
                "Too many attempts. Wait %(num)s seconds, then try again.",
                self.wait,
            )
        )


class Page(NamedTuple):
    """The texts of an error page."""

    code: str
    title: LazyString
    hint: LazyString


PAGES = {
    400: Page(
        "bad_request", _l("The request was not understood"), _l("Go back, reload the page and try again.")
    ),
    401: Page("unauthorized", _l("Please log in"), _l("Log in, then try again.")),
    403: Page("forbidden", _l("Access denied"), _l("Log in with the account that this belongs to.")),
    404: Page(
        "not_found",
        _l("Not found"),
        _l("This does not exist, was deleted, or belongs to another account or browser."),
    ),
    405: Page("method_not_allowed", _l("Method not allowed"), _l("Start from the home page.")),
    413: Page("too_large", _l("The request is too large"), _l("Choose a smaller picture.")),
    415: Page(
        "unsupported_media_type",
        _l("Unsupported content type"),
        _l("Send the content as a form or as a picture."),
    ),
    429: Page("too_many_requests", _l("Too many requests"), _l("Wait a moment, then try again.")),
    500: Page(
        "internal",
        _l("Something went wrong"),
        _l("Try again. If it happens again, tell the administrator of this site."),
    ),
    503: Page("unavailable", _l("Temporarily unavailable"), _l("Try again in a moment.")),
}
PAGES |= {410: PAGES[404], 422: PAGES[415]}
NO_ROUTE = Page("not_found", _l("Page not found"), _l("Check the address, or start from the home page."))
EXPIRED = Page(
    "csrf",
    _l("This form has expired"),
    _l("Go back, reload the page and submit the form again. This site needs cookies."),
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
    """Return whether the client is a program: an API client, or a script that prefers JSON to HTML."""
    if request.path.startswith(f"/{API}/"):
        return True
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def error_json(code: str, message: str | LazyString) -> Response:
    """Return an error in the format that all programs get."""
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
        The HTTP status.
    page : Page, optional
        The texts; by default those of `status`.
    message : str, optional
        Replaces the hint of the page, and in JSON its title too.
    retry_after : int, optional
        The `Retry-After` header, in seconds.
    """
    page = page or PAGES.get(status) or PAGES[500 if status >= 500 else 400]
    if wants_json():
        response = error_json(page.code, message or f"{page.title}. {page.hint}")
    else:
        text = render_template("error.html", code=status, title=page.title, message=message, hint=page.hint)
        response = make_response(text)
    response.status_code = status
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _refused(error: RefusalError) -> ResponseReturnValue:
    page = PAGES.get(error.status, PAGES[400])._replace(code=error.code)
    return respond(error.status, page, error.message, error.retry_after)


def _throttled(error: ThrottledError) -> ResponseReturnValue:
    return respond(429, message=error.message, retry_after=error.wait)


def _no_host(_error: HTTPException) -> ResponseReturnValue:
    """Answer in plain text when the host is unknown or malformed, since the links of a page need a host."""
    return (
        "This site is not served under this host name; the setting TRUSTED_HOSTS lists the ones that are.",
        400,
        {"Content-Type": "text/plain; charset=utf-8"},
    )


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()
    unknown_address = error.code == 404 and request.url_rule is None
    response = respond(error.code, NO_ROUTE if unknown_address else None)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "www-authenticate", "retry-after"):
            response.headers[name] = value
    return response


def _database_away(error: Exception) -> ResponseReturnValue:
    return _failed(503, "the database is unavailable", error, RETRY_SOON)


def _disk(error: OSError) -> ResponseReturnValue:
    if error.errno in DISK_ERRORS:
        return _failed(503, "the disk is full or not writable", error, RETRY_SOON)
    return _unexpected(error)


def _unexpected(error: Exception) -> ResponseReturnValue:
    return _failed(500, "unexpected error", error)


def _failed(status: int, event: str, error: Exception, retry_after: int | None = None) -> Response:
    """Log the error and answer without using the database, which may be what failed."""
    current_app.logger.error(event, exc_info=error)
    g.failing = True
    _abandon_transaction()
    return respond(status, retry_after=retry_after)


def _abandon_transaction() -> None:
    try:
        db.session.rollback()
    except DBAPIError:
        db.session.remove()
