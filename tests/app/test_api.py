"""The API: searches with a bearer token, waiting, errors, and the tokens themselves."""

from __future__ import annotations

import io
import threading
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from app.accounts import tokens
from app.api.waiting import WaitSlots
from app.database import ApiToken, Search
from app.extensions import db
from app.uploads import storage
from tests.support.searches import claimed, finish
from tests.support.web import BOTH, Browser, account_id, photo


@pytest.fixture
def environ() -> dict[str, str]:
    return {"MAX_UPLOAD_MB": "1", "MAX_PENDING_PER_OWNER": "3", "WEB_THREADS": "4"}


class Program:
    """A program with a token."""

    def __init__(self, app: Flask, token: str) -> None:
        self.app, self.token = app, token

    def post(self, data: Any = None, path: str = "/api/v1/searches", **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.app.test_client().post(path, data=data, headers=sent, buffered=True)

    def get(self, path: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.app.test_client().get(path, headers=headers, buffered=True)


@pytest.fixture
def program(app: Flask, maria: Browser) -> Program:
    with app.app_context():
        return Program(app, tokens.create(account_id(app, "maria"), "shop"))


@BOTH
def test_a_picture_can_be_sent_as_the_body_or_in_a_form(program: Program) -> None:
    body = program.post(photo(), Content_Type="image/jpeg")
    form = program.post({"image": (io.BytesIO(photo()), "p.jpg")})
    for answer in (body, form):
        assert answer.status_code == 201
        assert (answer.json["status"], answer.json["results"]) == ("queued", [])
        assert answer.headers["Location"] == answer.json["url"] == f"/api/v1/searches/{answer.json['id']}"
        assert program.get(answer.json["url"]).json["id"] == answer.json["id"]


def test_no_cookie_is_set_and_none_is_needed(program: Program) -> None:
    assert "Set-Cookie" not in program.post(photo()).headers


def test_a_search_by_a_program_is_visible_to_its_account(program: Program, maria: Browser) -> None:
    search_id = program.post(photo()).json["id"]
    assert maria.get(f"/searches/{search_id}").status_code == 200


@BOTH
def test_a_waiting_request_returns_as_soon_as_the_search_is_done(app: Flask, program: Program) -> None:
    search_id = uuid.UUID(program.post(photo()).json["id"])

    def work() -> None:
        with app.app_context():
            finish(claimed(search_id))

    worker = threading.Timer(0.3, work)
    worker.start()
    answer = program.get(f"/api/v1/searches/{search_id}?wait=20")
    worker.join()
    assert answer.json["status"] == "done"
    assert [hit["item"] for hit in answer.json["results"]] == [f"{n:016x}" for n in range(3)]


@pytest.mark.parametrize("wait", ["0", "-1", "nan", "inf", "-inf", "x", "", "0.01"])
def test_invalid_waits_are_answered_at_once(program: Program, wait: str) -> None:
    assert program.post(photo(), f"/api/v1/searches?wait={wait}").json["status"] == "queued"


def test_without_a_free_slot_a_request_is_answered_at_once(app: Flask, program: Program) -> None:
    slots: WaitSlots = app.extensions["vitrine_waiting"]
    slots._slots.acquire()
    slots._slots.acquire()
    assert program.post(photo(), "/api/v1/searches?wait=30").json["status"] == "queued"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic bWFyaWE6eA==", "Bearer é"])
def test_a_request_without_a_valid_token_is_refused(app: Flask, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = app.test_client().post("/api/v1/searches", data=photo(), headers=headers)
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_missing_and_a_wrong_token_are_told_apart(app: Flask) -> None:
    missing = app.test_client().get(f"/api/v1/searches/{uuid.uuid4()}")
    wrong = Program(app, "vitrine_wrong").get(f"/api/v1/searches/{uuid.uuid4()}")
    assert "Authorization: Bearer" in missing.json["error"]["message"]
    assert "unknown or has been revoked" in wrong.json["error"]["message"]
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    assert "error" not in missing.headers["WWW-Authenticate"]


def test_an_unknown_parameter_is_refused_by_name(program: Program) -> None:
    answer = program.post(photo(), "/api/v1/searches?wait=0&top=3")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "unknown_parameter")
    assert "“top”" in answer.json["error"]["message"]
    assert "wait" in answer.json["error"]["message"]


@pytest.mark.parametrize("fields", [{"file": (io.BytesIO(photo()), "p.jpg")}, {"picture": "as text"}])
def test_a_form_with_another_field_is_told_the_name_of_the_right_one(
    program: Program, fields: dict[str, Any]
) -> None:
    error = program.post(fields, Content_Type="multipart/form-data").json["error"]
    assert error["code"] == "empty"
    assert f"“{next(iter(fields))}”" in error["message"]
    assert "“image”" in error["message"]


def test_a_program_can_get_the_picture_of_its_search(app: Flask, program: Program) -> None:
    search_id = uuid.UUID(program.post(photo()).json["id"])
    assert program.get(f"/api/v1/searches/{search_id}").json["picture_url"] is None
    with app.app_context():
        finish(claimed(search_id), preview=storage.save_preview(io.BytesIO(photo())))
    address = program.get(f"/api/v1/searches/{search_id}").json["picture_url"]
    assert program.get(address).data == photo()
    assert app.test_client().get(address).status_code == 401


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"hello", 415, "unsupported_format"),
        (photo() + b"\0" * 2**20, 413, "too_large"),
        (photo() + b"\0" * 2**21, 413, "too_large"),
    ],
)
def test_refusals_are_json(program: Program, content: bytes, status: int, code: str) -> None:
    answer = program.post(content, Content_Type="application/octet-stream")
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)


def test_errors_are_json_even_for_a_browser(program: Program) -> None:
    answer = program.app.test_client().get("/api/v1/nothing", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_requests_with_one_idempotency_key_are_one_search(app: Flask, program: Program) -> None:
    ids = {program.post(photo(), Idempotency_Key="order-4711").json["id"] for _ in range(3)}
    assert len(ids) == 1


def test_the_limit_on_pending_searches_applies_to_programs(program: Program) -> None:
    answers = [program.post(photo()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_token_is_shown_once_and_stored_as_a_hash(app: Flask, maria: Browser) -> None:
    words = maria.post("/account/tokens", {"name": "shop"}).text.replace('"', " ").replace("<", " ").split()
    token = next(word for word in words if word.startswith(tokens.PREFIX))
    assert Program(app, token).post(photo()).status_code == 201
    assert token not in maria.get("/account").text
    with app.app_context():
        assert token not in str(db.session.execute(sa.select(ApiToken.__table__)).all())


def test_a_revoked_token_is_refused(app: Flask, program: Program, maria: Browser) -> None:
    with app.app_context():
        token_id = tokens.of(account_id(app, "maria"))[0].id
    maria.post(f"/account/tokens/{token_id}/revoke")
    assert program.post(photo()).status_code == 401


def test_the_number_of_tokens_is_limited(app: Flask, maria: Browser) -> None:
    with app.app_context():
        for number in range(tokens.MAX_TOKENS):
            tokens.create(account_id(app, "maria"), str(number))
    assert maria.post("/account/tokens", {"name": "one more"}).status_code == 422


def test_a_search_that_is_deleted_while_a_program_waits_is_a_404(
    app: Flask, program: Program, maria: Browser
) -> None:
    search_id = program.post(photo()).json["id"]
    deletion = threading.Timer(0.3, lambda: maria.post(f"/history/{search_id}/delete"))
    deletion.start()
    assert program.get(f"/api/v1/searches/{search_id}?wait=20").status_code == 404
    deletion.join()
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Search)) == 0
