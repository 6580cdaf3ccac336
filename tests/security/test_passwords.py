"""Weak and oversized passwords are refused wherever a password is chosen (row 49)."""

from __future__ import annotations

import pytest
from flask import Flask

from app.database import User
from tests.support.web import PASSWORD, Browser, count

MEGABYTE = "x" * 2**20
WEAK = {
    "seven letters": "short1!",
    "digits": "483920175566",
    "common": "password1",
    "common in capitals": "PASSWORD1",
    "like the name": "maria-1990",
    "the name twice": "mariamaria",
    "one letter": "aaaaaaaa",
    "a sequence": "abcdefgh",
    "the product": "vitrine1",
    "nothing": "",
}


@pytest.mark.parametrize("password", WEAK.values(), ids=WEAK)
def test_row_49_an_account_cannot_be_created_with_a_weak_password(
    app: Flask, client: Browser, password: str
) -> None:
    assert client.signup(password=password).status_code == 422
    assert count(app, User) == 0


@pytest.mark.parametrize("password", WEAK.values(), ids=WEAK)
def test_row_49_a_password_cannot_be_changed_to_a_weak_one(app: Flask, maria: Browser, password: str) -> None:
    sent = {"current": PASSWORD, "password": password}
    assert maria.post("/account/password", sent).status_code == 422
    assert Browser(app).login().status_code == 303


def test_row_49_a_megabyte_is_refused_before_it_is_hashed(app: Flask, maria: Browser) -> None:
    assert Browser(app).signup("somebody", MEGABYTE).status_code == 413
    assert Browser(app).login(password=MEGABYTE).status_code == 413
    assert maria.post("/account/password", {"current": MEGABYTE, "password": MEGABYTE}).status_code == 413
    long = "x" * 2048
    assert Browser(app).signup("somebody", long).status_code == 422
    assert Browser(app).login(password=long).status_code == 422
    assert count(app, User) == 1
