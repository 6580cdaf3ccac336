"""Signing up, logging in and out, changing passwords, and the pages of an account."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask

from app.accounts import passwords, service
from app.database import Base, User
from app.digests import digest
from app.extensions import db
from app.transactions import transaction
from tests.support.web import BOTH, PASSWORD, REMEMBER, Browser

OTHER = "a new long one"


@BOTH
def test_signing_up_logs_in_and_shows_the_name_as_typed(client: Browser) -> None:
    assert client.signup("Zoë").headers["Location"] == "/"
    assert "Zoë" in client.get("/account").text


@BOTH
def test_logging_in_needs_the_right_name_and_the_right_password(maria: Browser, app: Flask) -> None:
    browser = Browser(app)
    assert browser.login(name="nobody").status_code == 422
    assert browser.login(password="another-password").status_code == 422
    assert not browser.logged_in()
    assert browser.login().status_code == 303
    assert browser.logged_in()


def test_the_rules_for_names_are_shown_before_they_are_broken(client: Browser) -> None:
    page = client.get("/signup").text
    assert 'aria-describedby="username-help"' in page
    assert "2 to 32 letters or digits." in page


def test_broken_rules_are_reported_while_a_password_is_typed(client: Browser) -> None:
    token = {"X-CSRFToken": client.token()}
    sent = {"username": "rosamund", "password": "rosamu"}
    answer = client.client.post("/password-check", json=sent, headers=token)
    assert [failure["rule"] for failure in answer.json["failures"]] == ["length", "similar"]
    assert client.client.post("/password-check", json=["x"], headers=token).status_code == 400


def test_a_remembered_browser_is_logged_in_without_its_session_cookie(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    browser.login(remember="y")
    assert Browser.holding(app, {REMEMBER: browser.cookies()[REMEMBER]}).logged_in()
    browser.login()


@BOTH
def test_changing_the_password_keeps_this_browser_logged_in_and_ends_the_old_password(
    app: Flask, maria: Browser
) -> None:
    assert maria.post("/account/password", {"current": "wrong", "password": OTHER}).status_code == 422
    assert maria.post("/account/password", {"current": PASSWORD, "password": "maria"}).status_code == 422
    assert maria.post("/account/password", {"current": PASSWORD, "password": OTHER}).status_code == 303
    assert maria.logged_in()
    assert Browser(app).login().status_code == 422
    assert Browser(app).login(password=OTHER).status_code == 303


@BOTH
def test_searches_made_before_signing_up_move_to_the_account(app: Flask, client: Browser) -> None:
    search_id = client.searched()
    client.signup()
    assert client.get(f"/searches/{search_id}").status_code == 200
    client.post("/logout")
    assert client.get(f"/searches/{search_id}").status_code == 404
    client.login()
    assert client.get(f"/searches/{search_id}").status_code == 200


def test_an_outdated_hash_is_renewed_at_the_next_login(app: Flask, maria: Browser) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(password_hash=weak))
    assert Browser(app).login().status_code == 303
    with app.app_context():
        stored = db.session.scalars(sa.select(User.password_hash)).one()
    assert not passwords.outdated(stored)


@pytest.mark.parametrize("page", ["/account", "/account/password", "/account/delete", "/account/tokens"])
def test_account_pages_ask_visitors_to_log_in(client: Browser, page: str) -> None:
    answer = client.get(page) if page == "/account" else client.post(page)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login")


def test_logging_in_leads_back_to_the_requested_page(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    asked = browser.get("/account").headers["Location"]
    sent = {"username": "maria", "password": PASSWORD}
    assert browser.post(asked, sent).headers["Location"] == "/account"


def test_no_table_holds_a_password_or_a_session_token(app: Flask, maria: Browser) -> None:
    Browser(app).login()
    browser = Browser(app)
    browser.login(remember="y")
    token = browser.cookies()[REMEMBER].split("|")[0]
    with app.app_context():
        dump = str([db.session.execute(sa.select(table)).all() for table in Base.metadata.sorted_tables])
    assert PASSWORD not in dump
    assert token not in dump
    assert digest(token) in dump


def test_a_name_that_is_taken_cannot_be_created_in_another_case(context: Flask) -> None:
    service.create("maria", PASSWORD)
    with pytest.raises(service.NameTakenError):
        service.create("Maria", PASSWORD)
