"""Headers, cookies, error answers and logs."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import logging as app_logging
from config import Settings
from tests.support.web import JSON, PASSWORD, Browser, photo

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; manifest-src 'self'"
)
PAGES = ["/", "/login", "/nothing", "/healthz", "/static/0/css/base.css", "/api/v1/nothing"]


@pytest.mark.parametrize("page", PAGES)
def test_every_response_has_the_security_headers(client: Browser, page: str) -> None:
    headers = client.get(page).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "geolocation=()" in headers["Permissions-Policy"]
    assert "Server" not in headers


def test_pages_are_not_cached(client: Browser) -> None:
    assert client.get("/history").headers["Cache-Control"] == "no-store"


def test_cookies_are_same_site_and_hidden_from_scripts(maria: Browser) -> None:
    maria.post("/logout")
    answer = maria.login(remember="y")
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) == 3  # session, remember, device
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie


class TestProduction:
    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"APP_ENV": "production"}

    def test_cookies_are_sent_only_over_https(self, client: Browser) -> None:
        cookies = client.get("/").headers.getlist("Set-Cookie")
        assert cookies
        assert all("Secure" in cookie for cookie in cookies)

    def test_browsers_are_told_to_use_https(self, client: Browser) -> None:
        assert "Strict-Transport-Security" in client.get("/", base_url="https://localhost").headers
        assert "Strict-Transport-Security" not in client.get("/").headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/history", 405, "method_not_allowed"),
        ("GET", "/searches/not-a-uuid", 404, "not_found"),
        ("POST", "/searches", 400, "csrf"),
    ],
)
def test_errors_are_pages_for_browsers_and_json_for_scripts(
    client: Browser, method: str, path: str, status: int, code: str
) -> None:
    page = client.client.open(path, method=method)
    assert (page.status_code, page.mimetype) == (status, "text/html")
    answer = client.client.open(path, method=method, headers=JSON)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)


@pytest.mark.parametrize("path", ["/nothing", "/galery", "/searches/not-a-uuid", "/api/v1/nothing"])
def test_a_mistyped_address_is_not_said_to_be_deleted(client: Browser, path: str) -> None:
    assert "Check the address" in client.get(path).text
    assert "deleted" not in client.get(path).text


def test_a_missing_item_is_not_said_to_be_a_mistyped_address(client: Browser) -> None:
    page = client.get("/gallery/ffffffffffffffff").text
    assert "was deleted, or belongs to another account" in page
    assert "Check the address" not in page


def broken(app: Flask) -> None:
    @app.get("/broken")
    def fail() -> str:
        raise ValueError("the secret path /home/maria/holiday.jpg")


def test_an_unexpected_error_reveals_no_internals(app: Flask, client: Browser) -> None:
    broken(app)
    for headers in (JSON, {}):
        answer = client.get("/broken", headers=headers)
        assert answer.status_code == 500
        assert "maria" not in answer.text
        assert "ValueError" not in answer.text


@pytest.fixture
def log(settings: Settings) -> Iterator[io.StringIO]:
    """The log, in the format of the running site."""
    handlers, level = logging.root.handlers[:], logging.root.level
    app_logging.configure(settings)
    stream = io.StringIO()
    for handler in logging.root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
    yield stream
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_is_one_line_of_json_with_an_id(client: Browser, log: io.StringIO) -> None:
    answer = client.get("/history?page=1")
    (line,) = lines(log)
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert (line["route"], line["status"], line["method"]) == ("/history", 200, "GET")


def test_a_valid_request_id_is_kept(client: Browser) -> None:
    given = {"X-Request-ID": "abc-123-def-456"}
    assert client.get("/healthz", headers=given).headers["X-Request-ID"] == "abc-123-def-456"
    forged = {"X-Request-ID": 'x"} {"level": "forged'}
    assert "forged" not in client.get("/healthz", headers=forged).headers["X-Request-ID"]


def test_logs_contain_no_secrets_and_no_names(app: Flask, client: Browser, log: io.StringIO) -> None:
    broken(app)
    client.signup("maria")
    search = client.search(filename="holiday.jpg").json
    client.search(content=b"hello", filename="holiday.txt")
    client.get("/gallery?q=holiday")
    client.get("/holiday.jpg")
    client.get("/broken")
    client.login(password="a-wrong-password")
    bearer = {"Authorization": "Bearer vitrine_topsecret"}
    client.client.post("/api/v1/searches", data=photo(), headers=bearer)
    text = log.getvalue()
    assert text.count("\n") > 8
    for word in (PASSWORD, "a-wrong-password", "holiday", "maria", "topsecret", search["id"]):
        assert word not in text
    for cookie in ("vitrine_session",):
        found = client.client.get_cookie(cookie)
        assert found is not None
        assert found.value not in text


def test_an_error_is_logged_with_its_type_and_traceback(
    app: Flask, client: Browser, log: io.StringIO
) -> None:
    broken(app)
    client.get("/broken")
    (error,) = [line for line in lines(log) if line["level"] == "error"]
    assert error["error"] == "builtins.ValueError"
    assert any(Path(__file__).name in frame for frame in error["trace"])
