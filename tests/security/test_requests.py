"""Malformed requests that fuzzing has found: each is refused without a server error."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from tests.support.web import BOTH, Browser

DEEP = "[" * 50_000
HOSTS = ["9" * 5000, "A" * 300, "\xff", "a..b", "[", "a b", "-", ".", ""]
FORMS = ["/login", "/signup", "/searches", "/preferences", "/account/password", "/account/delete"]


def send_json(browser: Browser, path: str, data: str) -> int:
    headers = {"X-CSRFToken": browser.token("/account" if browser.logged_in() else "/login")}
    answer = browser.client.post(path, data=data, content_type="application/json", headers=headers)
    return answer.status_code


@pytest.mark.parametrize("data", ['"text"', "[1]", '{"username": true, "password": true}', DEEP, "{"])
@pytest.mark.parametrize("path", FORMS)
def test_json_is_not_accepted_as_a_form(client: Browser, path: str, data: str) -> None:
    client.signup()
    assert send_json(client, path, data) == 415


@pytest.mark.parametrize(
    "data",
    [DEEP, '{"username":' * 5000, "[]", "null", '{"password": {"a": 1}}', '{"username": 1e999}', "\xff"],
)
def test_json_without_a_name_and_password_is_refused(client: Browser, data: str) -> None:
    assert send_json(client, "/password-check", data) == 400


@pytest.mark.parametrize("password", ["\udfff\x00", "\ud800", "\0" * 300, "e\u0301" * 900])
def test_a_password_with_unusual_characters_is_checked(client: Browser, password: str) -> None:
    assert send_json(client, "/password-check", json.dumps({"username": "m", "password": password})) == 200


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/v1/searches"])
def test_a_malformed_host_is_no_server_error(app: Flask, path: str, host: str) -> None:
    answer = app.test_client().get(path, environ_overrides={"HTTP_HOST": host})
    assert answer.status_code in (200, 308, 400, 401, 404, 405)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@BOTH
@pytest.mark.parametrize("number", [2**31, 2**63, 10**40])
def test_a_token_id_beyond_the_range_of_the_database_is_a_404(client: Browser, number: int) -> None:
    client.signup()
    assert client.post(f"/account/tokens/{number}/revoke").status_code == 404
