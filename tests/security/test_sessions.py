"""Planted, stolen and kept cookies, CSRF, and what remains of an account (rows 41, 42, 44 and 50)."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from flask import Flask

from app.database import Base, Lease, Throttle, User, UserSession
from app.transactions import transaction
from config import Settings
from tests.campaigns.fuzz.calls import targets
from tests.support.searches import claimed, finish
from tests.support.web import BOTH, PASSWORD, REMEMBER, SESSION, Browser, count

OTHER = "a new long one"
WITHOUT_OWNERS = {Lease.__table__, Throttle.__table__}  # Throttle holds keyed hashes


@BOTH
@pytest.mark.parametrize("way_out", ["logout", "everywhere", "password", "delete"])
def test_row_41_old_cookies_are_invalid_after(app: Flask, maria: Browser, way_out: str) -> None:
    browser = Browser(app)
    browser.login(remember="y")
    stolen = browser.cookies()
    assert set(stolen) == {SESSION, REMEMBER}
    for name in stolen:
        assert Browser.holding(app, {name: stolen[name]}).logged_in()
    {
        "logout": lambda: browser.post("/logout"),
        "everywhere": lambda: maria.post("/account/logout"),
        "password": lambda: maria.post("/account/password", {"current": PASSWORD, "password": OTHER}),
        "delete": lambda: maria.post("/account/delete", {"password": PASSWORD}),
    }[way_out]()
    for name in stolen:
        assert not Browser.holding(app, {name: stolen[name]}).logged_in()
    assert not browser.logged_in()


def test_row_41_logging_out_removes_the_cookies(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    browser.login(remember="y")
    browser.post("/logout")
    assert REMEMBER not in browser.cookies()
    assert maria.logged_in()


def test_row_41_a_session_ends_by_itself(app: Flask, maria: Browser) -> None:
    with app.app_context(), transaction() as session:
        session.execute(sa.update(UserSession).values(expires=sa.text("'2020-01-01 00:00:00'")))
    assert not maria.logged_in()


@BOTH
def test_row_42_logging_in_begins_a_new_session(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    browser.get("/")
    planted = browser.cookies()
    browser.login()
    assert browser.cookies()[SESSION] != planted[SESSION]
    assert not Browser.holding(app, planted).logged_in()
    with browser.client.session_transaction() as session:
        assert "visitor" not in session


def test_row_44_every_form_without_its_token_is_refused_with_a_hint(app: Flask, maria: Browser) -> None:
    forms = [rule for method, rule in targets(app.url_map) if method == "POST" and "/api/" not in rule.rule]
    assert len(forms) > 10
    for rule in forms:
        path = rule.build({name: _sample(rule.rule, name) for name in rule.arguments})[1]
        answer = maria.send(path, {"username": "maria", "password": PASSWORD})
        assert (path, answer.status_code) == (path, 400)
        assert "reload the page" in answer.text
    assert maria.logged_in()


def test_row_44_the_token_of_another_browser_is_refused(app: Flask, maria: Browser) -> None:
    foreign = Browser(app).token()
    for path in ("/logout", "/history/delete", "/account/logout"):
        assert maria.send(path, {"csrf_token": foreign}).status_code == 400
    assert maria.logged_in()


@BOTH
def test_row_50_deleting_an_account_deletes_all_its_data(
    app: Flask, settings: Settings, maria: Browser
) -> None:
    search_id = maria.searched()
    with app.app_context():
        finish(claimed(search_id))
    maria.searched()
    maria.post("/account/tokens", {"name": "shop"})
    assert len(list(settings.uploads_dir.iterdir())) == 2
    assert maria.post("/account/delete", {"password": "wrong"}).status_code == 422
    assert count(app, User) == 1
    assert maria.post("/account/delete", {"password": PASSWORD}).headers["Location"] == "/"
    tables = set(Base.metadata.tables.values()) - WITHOUT_OWNERS
    assert {table.name: count(app, table) for table in tables} == dict.fromkeys((t.name for t in tables), 0)
    assert list(settings.uploads_dir.iterdir()) == []
    assert Browser(app).login().status_code == 422


def _sample(rule: str, name: str) -> object:
    return 1 if f"<int:{name}>" in rule else uuid.UUID(int=1) if f"<uuid:{name}>" in rule else "x"
