"""Forged `Host` and `X-Forwarded-For` (row 48)."""

from __future__ import annotations

import pytest
from flask import Flask, request

from tests.support.web import PASSWORD, Browser


def seen(app: Flask, headers: dict[str, str]) -> tuple[str | None, str, str]:
    """Return the address, host and scheme that the application sees."""
    found = []
    app.before_request(lambda: found.append((request.remote_addr, request.host, request.scheme)))
    app.test_client().get("/healthz", headers=headers)
    return found[0]


FORGED = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Host": "evil.com", "X-Forwarded-Proto": "https"}


def test_row_48_forwarded_headers_are_ignored(app: Flask) -> None:
    assert seen(app, FORGED) == ("127.0.0.1", "localhost", "http")


def test_row_48_a_forged_address_does_not_bypass_the_throttle(app: Flask) -> None:
    browser = Browser(app)
    answers = []
    for number in range(7):
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        sent = {"username": f"person{number}", "password": PASSWORD}
        answers.append(browser.post("/login", sent, headers=headers).status_code)
    assert answers[-1] == 429


class TestBehindOneProxy:
    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"PROXY_HOPS": "1", "TRUSTED_HOSTS": "vitrine.example, localhost"}

    def test_row_48_the_last_address_is_used_which_the_proxy_has_added(self, app: Flask) -> None:
        forwarded = {"X-Forwarded-For": "10.0.0.1, 192.0.2.9", "X-Forwarded-Host": "vitrine.example"}
        believed = seen(app, forwarded | {"X-Forwarded-Proto": "https"})
        assert believed == ("192.0.2.9", "vitrine.example", "https")

    def test_row_48_other_hosts_are_refused(self, client: Browser) -> None:
        assert client.get("/", headers={"X-Forwarded-Host": "evil.com"}).status_code == 400
        assert client.get("/", headers={"X-Forwarded-Host": "vitrine.example"}).status_code == 200
