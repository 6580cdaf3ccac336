"""Signing up, in and out, and what a session is worth afterwards."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask

from app.accounts import passwords, service, sessions
from app.database import ApiToken, Base, Search, Upload, User, UserSession
from app.extensions import db
from app.transactions import transaction
from config import Settings
from tests.support.web import BOTH, PASSWORD, TOKEN, Browser

OTHER = "a new long one"
FORMS = ["/login", "/signup", "/logout", "/preferences", "/searches", "/history/delete"]
SESSION, REMEMBER = "vitrine_session", "vitrine_remember"


def cookies(browser: Browser) -> dict[str, str]:
    found = (browser.client.get_cookie(name) for name in (SESSION, REMEMBER))
    return {cookie.key: cookie.value for cookie in found if cookie is not None}


def with_cookies(app: Flask, values: dict[str, str]) -> Browser:
    """Another browser that got hold of these cookies."""
    thief = Browser(app)
    for name, value in values.items():
        thief.client.set_cookie(name, value)
    return thief


def count(app: Flask, table: type) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@BOTH
def test_signing_up_signs_in_and_the_name_is_shown_as_typed(client: Browser) -> None:
    assert client.signup("Zoë").headers["Location"] == "/"
    assert "Zoë" in client.get("/account").text


@BOTH
@pytest.mark.parametrize("name", ["maria", "MARIA", "ｍａｒｉａ", "mаria"])
def test_a_name_in_any_spelling_is_taken_once(app: Flask, maria: Browser, name: str) -> None:
    answer = Browser(app).signup(name)
    assert answer.status_code == 422
    assert count(app, User) == 1


@pytest.mark.parametrize("password", ["short1!", "483920175566", "password1", "maria-1990", ""])
def test_weak_passwords_are_refused_on_the_server(app: Flask, client: Browser, password: str) -> None:
    assert client.signup(password=password).status_code == 422
    assert count(app, User) == 0


def test_rules_are_told_as_one_types(client: Browser) -> None:
    token = {"X-CSRFToken": client.token()}
    sent = {"username": "rosamund", "password": "rosamu"}
    answer = client.client.post("/password-check", json=sent, headers=token)
    assert [failure["rule"] for failure in answer.json["failures"]] == ["length", "similar"]
    assert client.client.post("/password-check", json=["x"], headers=token).status_code == 400


@BOTH
def test_signing_in_works_with_name_and_password_together_only(maria: Browser, app: Flask) -> None:
    browser = Browser(app)
    unknown = browser.login(name="nobody")
    wrong = browser.login(password="another-password")
    assert unknown.status_code == wrong.status_code == 422
    assert "do not belong together" in unknown.text
    pages = [TOKEN.sub("", answer.text) for answer in (unknown, wrong)]
    assert pages[0].replace("nobody", "maria") == pages[1]
    assert browser.login().status_code == 303
    assert browser.logged_in()


def test_an_unknown_name_costs_as_much_hashing_as_a_known_one(
    app: Flask, maria: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    genuine = PasswordHasher.verify

    def verify(hasher: PasswordHasher, stored: str, given: bytes) -> bool:
        hashed.append(stored)
        return genuine(hasher, stored, given)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    browser = Browser(app)
    for name in ("maria", "nobody", "a\0b", "аdmin"):
        browser.login(name=name, password="another-password")
    assert len(hashed) == 4
    assert {stored.split("$")[3] for stored in hashed} == {"m=19456,t=2,p=1"}


@BOTH
def test_signing_in_begins_a_new_session(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    browser.get("/")
    planted = cookies(browser)
    browser.login()
    assert cookies(browser)[SESSION] != planted[SESSION]
    assert not with_cookies(app, planted).logged_in()
    with browser.client.session_transaction() as session:
        assert "visitor" not in session


@BOTH
@pytest.mark.parametrize("way_out", ["logout", "everywhere", "password", "delete"])
def test_old_cookies_are_dead_after(app: Flask, maria: Browser, way_out: str) -> None:
    browser = Browser(app)
    browser.login(remember="y")
    stolen = cookies(browser)
    assert set(stolen) == {SESSION, REMEMBER}
    for name in stolen:
        assert with_cookies(app, {name: stolen[name]}).logged_in()
    {
        "logout": lambda: browser.post("/logout"),
        "everywhere": lambda: maria.post("/account/logout"),
        "password": lambda: maria.post("/account/password", {"current": PASSWORD, "password": OTHER}),
        "delete": lambda: maria.post("/account/delete", {"password": PASSWORD}),
    }[way_out]()
    for name in stolen:
        assert not with_cookies(app, {name: stolen[name]}).logged_in()
    assert not browser.logged_in()


def test_logging_out_removes_the_cookies(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    browser.login(remember="y")
    browser.post("/logout")
    assert REMEMBER not in cookies(browser)
    assert maria.logged_in()


def test_a_remembered_browser_is_signed_in_without_its_session_cookie(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    browser.login(remember="y")
    assert with_cookies(app, {REMEMBER: cookies(browser)[REMEMBER]}).logged_in()
    browser.login()


def test_a_session_ends_by_itself(app: Flask, maria: Browser) -> None:
    with app.app_context(), transaction() as session:
        session.execute(sa.update(UserSession).values(expires=sa.text("'2020-01-01 00:00:00'")))
    assert not maria.logged_in()


@BOTH
def test_changing_the_password_keeps_this_browser_in_and_makes_the_old_one_useless(
    app: Flask, maria: Browser
) -> None:
    assert maria.post("/account/password", {"current": "wrong", "password": OTHER}).status_code == 422
    assert maria.post("/account/password", {"current": PASSWORD, "password": "maria"}).status_code == 422
    assert maria.post("/account/password", {"current": PASSWORD, "password": OTHER}).status_code == 303
    assert maria.logged_in()
    assert Browser(app).login().status_code == 422
    assert Browser(app).login(password=OTHER).status_code == 303


@BOTH
def test_deleting_an_account_leaves_nothing_of_it(app: Flask, settings: Settings, maria: Browser) -> None:
    maria.searched()
    maria.post("/account/tokens", {"name": "shop"})
    assert len(list(settings.uploads_dir.iterdir())) == 1
    assert maria.post("/account/delete", {"password": "wrong"}).status_code == 422
    assert count(app, User) == 1
    assert maria.post("/account/delete", {"password": PASSWORD}).headers["Location"] == "/"
    assert [count(app, table) for table in (User, UserSession, ApiToken, Search, Upload)] == [0] * 5
    assert list(settings.uploads_dir.iterdir()) == []
    assert Browser(app).login().status_code == 422


@BOTH
def test_searches_made_before_signing_up_come_along(app: Flask, client: Browser) -> None:
    search_id = client.searched()
    client.signup()
    assert client.get(f"/searches/{search_id}").status_code == 200
    client.post("/logout")
    assert client.get(f"/searches/{search_id}").status_code == 404
    client.login()
    assert client.get(f"/searches/{search_id}").status_code == 200


def test_an_old_hash_is_renewed_when_its_owner_comes(app: Flask, maria: Browser) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with app.app_context(), transaction() as session:
        session.execute(sa.update(User).values(password_hash=weak))
    assert Browser(app).login().status_code == 303
    with app.app_context():
        stored = db.session.scalars(sa.select(User.password_hash)).one()
    assert not passwords.outdated(stored)


@pytest.mark.parametrize("page", ["/account", "/account/password", "/account/delete", "/account/tokens"])
def test_an_accounts_pages_ask_to_log_in(client: Browser, page: str) -> None:
    answer = client.get(page) if page == "/account" else client.post(page)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login")


def test_logging_in_leads_back_to_where_one_wanted_to_go(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    asked = browser.get("/account").headers["Location"]
    sent = {"username": "maria", "password": PASSWORD}
    assert browser.post(asked, sent).headers["Location"] == "/account"


def test_logging_in_leads_nowhere_else(app: Flask, maria: Browser) -> None:
    sent = {"username": "maria", "password": PASSWORD}
    assert Browser(app).post("/login?next=//evil.com", sent).headers["Location"] == "/"


@pytest.mark.parametrize("address", FORMS)
def test_forms_without_their_token_are_refused_with_the_mend(client: Browser, address: str) -> None:
    client.get("/")
    answer = client.send(address, {"username": "maria", "password": PASSWORD})
    assert answer.status_code == 400
    assert "reload the page" in answer.text


def test_another_browsers_token_is_worth_nothing(app: Flask, client: Browser) -> None:
    foreign = Browser(app).token()
    client.get("/login")
    assert client.send("/logout", {"csrf_token": foreign}).status_code == 400


def test_names_and_passwords_lie_in_no_table_as_they_are(app: Flask, maria: Browser) -> None:
    Browser(app).login()
    browser = Browser(app)
    browser.login(remember="y")
    token = cookies(browser)[REMEMBER].split("|")[0]
    with app.app_context():
        dump = str([db.session.execute(sa.select(table)).all() for table in Base.metadata.sorted_tables])
    assert PASSWORD not in dump
    assert token not in dump
    assert sessions.digest(token) in dump


def test_a_race_for_one_name_has_one_winner(context: Flask) -> None:
    service.create("maria", PASSWORD)
    with pytest.raises(service.NameTakenError):
        service.create("Maria", PASSWORD)
