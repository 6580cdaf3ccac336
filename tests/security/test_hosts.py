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


def status(app: Flask, host: str, path: str = "/") -> int:
    return app.test_client().get(path, headers={"Host": host}).status_code


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "[::1]", "LOCALHOST"])
def test_row_74_on_loopback_its_own_names_are_answered(app: Flask, host: str) -> None:
    assert status(app, host) == 200


@pytest.mark.parametrize("host", ["evil.com", "evil.com:8000", "127.0.0.1.evil.com", "localhost.evil.com"])
@pytest.mark.parametrize("path", ["/", "/api/v1/searches/x", "/metrics", "/static/0/css/base.css"])
def test_row_74_on_loopback_the_name_of_a_stranger_is_refused(app: Flask, host: str, path: str) -> None:
    assert status(app, host, path) == 400


class TestOpenToTheNetwork:
    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"HOST": "0.0.0.0"}  # noqa: S104

    def test_any_name_is_answered(self, app: Flask) -> None:
        assert status(app, "pictures.lan:8000") == 200


class TestTrustedHosts:
    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"TRUSTED_HOSTS": "pictures.example, .below.example, [::1]"}

    def test_names_names_below_one_and_addresses_are_understood(self, app: Flask) -> None:
        hosts = ["pictures.example", "a.below.example:443", "[::1]:80", "x.pictures.example", "127.0.0.1"]
        assert [status(app, host) for host in hosts] == [200, 200, 200, 400, 400]

    def test_a_probe_by_address_is_answered(self, app: Flask) -> None:
        for host in ("127.0.0.1:8000", "10.1.2.3", "localhost:8000"):
            assert status(app, host, "/healthz") == status(app, host, "/metrics") == 200
            assert status(app, host, "/readyz") in (200, 503)
        assert status(app, "evil.com", "/readyz") == 400


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
