"""Access to every route, for every kind of client; a new route fails until it has a line here (row 40)."""

from __future__ import annotations

import io
import uuid
from typing import NamedTuple

import pytest
from flask import Flask

from app.accounts import tokens
from app.extensions import db
from app.uploads import storage
from config import Settings
from gallery.catalog import Catalog
from tests.support.galleries import tiny_index
from tests.support.searches import claimed, finish
from tests.support.web import TOKEN, Browser, account_id, photo


class Line(NamedTuple):
    """The expected status for a visitor, another account and the owner (accounts with cookies and a bearer
    token), and for a program that has no cookies, no bearer token and no CSRF token.
    """

    visitor: int
    other: int
    owner: int
    program: int


PUBLIC = Line(200, 200, 200, 200)
REDIRECT = Line(303, 303, 303, 400)
OWNERS = Line(404, 404, 200, 404)
OWNERS_FORM = Line(404, 404, 303, 400)
ACCOUNT = Line(303, 200, 200, 303)
TO_LOGIN_OR_FORM = Line(303, 422, 422, 400)

ROUTES = {
    "GET /": PUBLIC,
    "GET /about": PUBLIC,
    "GET /healthz": PUBLIC,
    "GET /readyz": Line(503, 503, 503, 503),  # without Redis
    "GET /metrics": PUBLIC,
    "GET /static/<version>/<path:filename>": PUBLIC,
    "GET /gallery": PUBLIC,
    "GET /gallery/<item_id>": PUBLIC,
    "GET /gallery/<item_id>/thumb": PUBLIC,
    "GET /gallery/<item_id>/image": PUBLIC,
    "GET /history": PUBLIC,
    "GET /login": Line(200, 303, 303, 200),
    "GET /signup": Line(200, 303, 303, 200),
    "GET /account": ACCOUNT,
    "GET /searches/<uuid:search_id>": OWNERS,
    "GET /searches/<uuid:search_id>/status": OWNERS,
    "GET /searches/<uuid:search_id>/picture": OWNERS,
    "GET /api/v1/searches/<uuid:search_id>": Line(401, 404, 200, 401),
    "GET /api/v1/searches/<uuid:search_id>/picture": Line(401, 404, 200, 401),
    "POST /api/v1/searches": Line(401, 201, 201, 401),
    "POST /preferences": REDIRECT,
    "POST /password-check": Line(415, 415, 415, 400),  # a form is not JSON
    "POST /searches": REDIRECT,
    "POST /searches/<uuid:search_id>/again": OWNERS_FORM,
    "POST /gallery/<item_id>/similar": REDIRECT,
    "POST /history/<uuid:search_id>/delete": OWNERS_FORM,
    "POST /history/delete": REDIRECT,
    "POST /login": Line(422, 303, 303, 400),
    "POST /signup": Line(422, 303, 303, 400),
    "POST /logout": REDIRECT,
    "POST /account/password": TO_LOGIN_OR_FORM,
    "POST /account/logout": REDIRECT,
    "POST /account/delete": TO_LOGIN_OR_FORM,
    "POST /account/tokens": TO_LOGIN_OR_FORM,
    "POST /account/tokens/<int:token_id>/revoke": Line(303, 404, 303, 400),
}


class World:
    """An owner with a finished search and a token, another account, and a visitor with a search."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        tiny_index(settings)
        with Catalog.open(settings.index_dir) as catalog:
            self.item_id = catalog.at(0).id
        self.browsers = {who: Browser(app) for who in Line._fields}
        self.tokens: dict[str, str] = {}
        for who in ("other", "owner"):
            self.browsers[who].signup(who)
            with app.app_context():
                self.tokens[who] = tokens.create(account_id(app, who), "shop")
        self.browsers["visitor"].searched()
        self.search_id = self.browsers["owner"].searched()
        with app.app_context():
            preview = storage.save_preview(io.BytesIO(photo()))
            finish(claimed(self.search_id), preview=preview)
            self.token_id = tokens.of(account_id(app, "owner"))[0].id
            db.session.rollback()

    def ask(self, route: str, who: str) -> int:
        method, rule = route.split(" ", 1)
        path = rule.replace("<item_id>", self.item_id).replace("<uuid:search_id>", str(self.search_id))
        path = path.replace("<int:token_id>", str(self.token_id)).replace(
            "<version>/<path:filename>", "0/css/base.css"
        )
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        if method == "GET":
            return self.browsers[who].get(path, headers=headers).status_code
        if who == "program":
            return self.browsers[who].send(path, {}).status_code
        picture = {"image": (io.BytesIO(photo()), "p.jpg")} if path.endswith("/searches") else {}
        return self.browsers[who].post(path, picture, headers=headers).status_code


@pytest.fixture
def world(app: Flask, settings: Settings) -> World:
    return World(app, settings)


def routes(app: Flask) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_row_40_every_route_has_a_line(app: Flask) -> None:
    assert routes(app) == set(ROUTES)


def test_row_40_every_page_is_shown_only_to_those_who_may_see_it(world: World) -> None:
    pages = [route for route in ROUTES if route.startswith("GET")]
    found = {route: Line(*(world.ask(route, who) for who in Line._fields)) for route in pages}
    assert found == {route: ROUTES[route] for route in pages}


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.startswith("GET")])
def test_row_40_every_form_works_only_for_those_who_may_use_it(world: World, route: str) -> None:
    assert Line(*(world.ask(route, who) for who in Line._fields)) == ROUTES[route]


def test_row_40_another_visitor_has_no_access(app: Flask, client: Browser) -> None:
    search_id = client.searched()
    stranger = Browser(app)
    stranger.searched()
    for page in ("", "/status", "/picture"):
        assert stranger.get(f"/searches/{search_id}{page}").status_code == 404
    assert stranger.post(f"/searches/{search_id}/again").status_code == 404
    assert stranger.post(f"/history/{search_id}/delete").status_code == 404
    assert client.get(f"/searches/{search_id}").status_code == 200


def test_row_40_an_unknown_search_looks_like_one_of_another_owner(app: Flask, client: Browser) -> None:
    foreign = Browser(app).searched()
    ids = str(foreign), str(uuid.uuid4())
    answers = [client.get(f"/searches/{search_id}") for search_id in ids]
    assert answers[0].status_code == answers[1].status_code == 404
    pages = [TOKEN.sub("", answer.text) for answer in answers]
    assert pages[0].replace(ids[0], ids[1]) == pages[1]


def test_row_40_a_cookie_gives_no_access_to_the_api(maria: Browser) -> None:
    search_id = maria.searched()
    assert maria.get(f"/api/v1/searches/{search_id}").status_code == 401


def test_row_40_a_token_gives_no_access_to_the_pages(app: Flask, maria: Browser) -> None:
    with app.app_context():
        token = tokens.create(account_id(app, "maria"), "shop")
    answer = Browser(app).get("/account", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 303
