"""Searching with an upload: checks, one search per submission, limits, and what is stored."""

from __future__ import annotations

import errno
import io
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from app import queue
from app.database import Search, Upload, utcnow
from app.extensions import db
from app.messages import MESSAGES
from app.uploads import gate, storage
from config import Settings
from tests.support.galleries import tiny_index
from tests.support.pictures import encoded, png, scene
from tests.support.searches import FINGERPRINT, claimed, finish, set_created, set_uploaded
from tests.support.servers import RedisUnderTest, redis_server
from tests.support.web import BOTH, JSON, Browser, count, photo
from worker import attempts, housekeeping

HUGE = png(20_000, 20_000, b"", depth=1, colour=0)
REFUSED = [
    pytest.param(b"", 400, "empty", id="empty"),
    pytest.param(b"hello", 415, "unsupported_format", id="text"),
    pytest.param(b"<svg onload=alert(1)>", 415, "unsupported_format", id="svg"),
    pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0", 415, "unsupported_format", id="eps"),
    pytest.param(photo()[:60], 422, "broken", id="cut off"),
    pytest.param(HUGE, 413, "too_many_pixels", id="bomb"),
    pytest.param(b"\xff\xd8\xff" + b"\0" * 2**20, 413, "too_large", id="too large"),
]


@pytest.fixture
def environ() -> dict[str, str]:
    return {"MAX_UPLOAD_MB": "1", "MAX_PENDING_PER_OWNER": "3", "MAX_QUEUE": "8", "VISITOR_SHARE": "100"}


@pytest.fixture
def redis() -> Iterator[RedisUnderTest]:
    with redis_server() as server:
        yield server


def stored(settings: Settings) -> list[Path]:
    return list(settings.uploads_dir.glob("*"))


@BOTH
def test_a_picture_becomes_a_row_a_file_and_a_page(app: Flask, client: Browser, settings: Settings) -> None:
    answer = client.search(filename="фото.jpg")
    assert answer.status_code == 201
    search_id = uuid.UUID(answer.json["id"])
    assert answer.json["url"] == f"/searches/{search_id}"
    assert answer.json["status_url"] == f"/searches/{search_id}/status"
    page = client.get(answer.json["url"])
    assert page.status_code == 200
    assert "фото.jpg" in page.text
    assert [file.read_bytes() for file in stored(settings)] == [photo()]
    status = client.get(answer.json["status_url"]).json
    assert (status["status"], status["stage"], status["position"]) == ("queued", "waiting", 1)
    assert (status["results"], status["error"]) == ([], None)


def test_without_a_script_the_form_leads_to_the_search(client: Browser) -> None:
    answer = client.post("/searches", {"image": (io.BytesIO(photo()), "p.jpg")})
    assert answer.status_code == 303
    assert client.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize(("content", "status", "code"), REFUSED)
def test_a_file_that_is_not_a_picture_is_refused_and_leaves_nothing(
    app: Flask, client: Browser, settings: Settings, content: bytes, status: int, code: str
) -> None:
    answer = client.search(content=content)
    assert answer.status_code == status
    assert answer.json["error"] == {"code": code, "message": str(MESSAGES[code])}
    assert (count(app, Search), count(app, Upload), stored(settings)) == (0, 0, [])


@pytest.mark.parametrize(("content", "status", "code"), REFUSED)
def test_without_a_script_the_form_is_shown_again_with_the_error(
    settings: Settings, client: Browser, content: bytes, status: int, code: str
) -> None:
    tiny_index(settings)
    answer = client.post("/searches", {"image": (io.BytesIO(content), "p.jpg")})
    assert answer.status_code == status
    assert str(MESSAGES[code]).split(".")[0].replace("'", "&#39;") in answer.text
    assert 'name="image"' in answer.text


def test_a_form_without_a_picture_is_refused(client: Browser) -> None:
    assert client.post("/searches", headers=JSON).json["error"]["code"] == "empty"


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(client: Browser) -> None:
    answer = client.search(content=photo() + b"\0" * 2**21)
    assert answer.status_code == 413
    assert answer.json["error"]["code"] == "too_large"


def test_a_form_with_too_many_parts_is_refused(client: Browser) -> None:
    token = client.token()
    answer = client.send("/searches", {"csrf_token": token, **dict.fromkeys(map(str, range(10_000)), "")})
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/x-www-form-urlencoded"])
def test_other_forms_do_not_accept_large_bodies(client: Browser, kind: str) -> None:
    sent = {"csrf_token": client.token(), "username": "x" * 2**17, "password": "y"}
    answer = client.client.post("/login", data=sent, content_type=kind)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_every_supported_format_is_accepted(client: Browser, app: Flask, kind: str) -> None:
    search_id = client.searched(content=encoded(scene(), kind))
    with app.app_context():
        upload = db.session.get_one(Search, search_id).upload
        assert upload is not None
        assert (upload.format, upload.width, upload.height) == (kind, 64, 48)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.png", "cat.png"),
        ("фото.jpg", "фото.jpg"),
        ("a\0b\nc\x1b[31m.jpg", "abc[31m.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("<b>x</b>.jpg", "b>.jpg"),
        ("x" * 4096, "x" * 255),
        ("..", ".."),
        ("", "picture"),
        (None, "picture"),
        ("\u200b", "picture"),
    ],
)
def test_a_file_name_is_cleaned_for_display(sent: str | None, shown: str) -> None:
    assert gate.shown_name(sent) == shown


def test_a_file_name_is_escaped(client: Browser) -> None:
    search_id = client.searched(filename="<img src=x onerror=alert(1)>.jpg")
    assert "<img src=x" not in client.get(f"/searches/{search_id}").text


def test_the_same_submission_of_another_owner_is_another_search(app: Flask, client: Browser) -> None:
    first = client.searched(submission="0123456789abcdef")
    assert Browser(app).searched(submission="0123456789abcdef") != first


def test_a_finished_search_no_longer_counts_against_the_limit(app: Flask, client: Browser) -> None:
    ids = [client.searched() for _ in range(3)]
    assert client.search().status_code == 429
    with app.app_context():
        finish(claimed(ids[0]))
    assert client.search().status_code == 201


def test_a_full_disk_is_reported_and_leaves_neither_row_nor_file(
    app: Flask, client: Browser, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    answer = client.search()
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers
    assert (count(app, Search), stored(settings)) == (0, [])


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_database_on_a_full_disk_refuses_the_commit_and_leaves_no_file(
    app: Flask, settings: Settings
) -> None:
    with app.app_context():  # SQLite reads this as: no more pages than now
        event.listen(db.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA max_page_count = 1"))
    statuses = [Browser(app).search(filename=f"{'名' * 250}.jpg").status_code for _ in range(8)]
    assert set(statuses) == {201, 503}
    assert len(stored(settings)) == count(app, Search) == statuses.count(201)


def test_places_in_the_queue_count_the_searches_of_all_owners(app: Flask) -> None:
    first, second = Browser(app), Browser(app)
    ids = [(browser, browser.searched()) for browser in (first, second, first)]
    places = [browser.get(f"/searches/{search_id}/status").json["position"] for browser, search_id in ids]
    assert places == [1, 2, 3]


def test_a_finished_search_shows_its_results(app: Flask, client: Browser) -> None:
    search_id = client.searched()
    with app.app_context():
        preview = storage.save_preview(io.BytesIO(photo()))
        finish(claimed(search_id), preview=preview)
    status = client.get(f"/searches/{search_id}/status").json
    assert (status["status"], status["searched"], status["seconds"]) == ("done", 12, 0.5)
    assert [result["rank"] for result in status["results"]] == [1, 2, 3]
    assert status["results"][0] | {"score": 1.0, "name": "0.jpg", "item": "0" * 16} == status["results"][0]
    assert status["results"][0]["thumb_url"].startswith(f"/gallery/{'0' * 16}/thumb?v=")
    assert "0.jpg" in client.get(f"/searches/{search_id}").text
    picture = client.get(status["picture_url"])
    assert (picture.mimetype, picture.headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
    assert "sandbox" in picture.headers["Content-Security-Policy"]


def test_the_original_is_never_served(client: Browser) -> None:
    search_id = client.searched()
    assert client.get(f"/searches/{search_id}/picture").status_code == 404


@pytest.mark.parametrize("code", ["broken", "no_index", "worker_lost", "something new"])
def test_a_failed_search_says_why_and_offers_to_retry_where_that_helps(
    app: Flask, client: Browser, code: str
) -> None:
    search_id = client.searched()
    with app.app_context():
        attempts.fail(claimed(search_id), code)
    message = str(MESSAGES.get(code, MESSAGES["internal"]))
    assert client.get(f"/searches/{search_id}/status").json["error"] == {"code": code, "message": message}
    page = client.get(f"/searches/{search_id}").text
    assert (f'action="/searches/{search_id}/again"' in page) is (code != "broken")


@BOTH
def test_searching_again_uses_the_stored_picture(app: Flask, client: Browser, settings: Settings) -> None:
    search_id = client.searched()
    with app.app_context():
        preview = storage.save_preview(io.BytesIO(b"preview"))
        finish(claimed(search_id), features=b"12345678", fingerprint=FINGERPRINT, preview=preview)
    first = client.post(f"/searches/{search_id}/again").headers["Location"]
    assert client.post(f"/searches/{search_id}/again").headers["Location"] == first
    assert first != f"/searches/{search_id}"
    assert count(app, Upload) == len(stored(settings)) == 1


def test_a_search_without_its_picture_cannot_be_repeated(app: Flask, client: Browser) -> None:
    search_id = client.searched()
    with app.app_context():
        attempts.fail(claimed(search_id), "broken")
    assert client.post(f"/searches/{search_id}/again", headers=JSON).status_code == 410


def test_without_redis_the_search_waits_and_the_page_says_so(app: Flask, client: Browser) -> None:
    search_id = client.searched()
    notice = client.get(f"/searches/{search_id}/status").json["notice"]
    assert notice
    assert notice in client.get(f"/searches/{search_id}").text


class TestWithRedis:
    """The queue follows the rows."""

    @pytest.fixture
    def redis_url(self, redis: RedisUnderTest) -> str:
        return redis.url

    def test_the_search_is_enqueued_once_it_is_committed(self, app: Flask, client: Browser) -> None:
        search_id = client.searched()
        with app.app_context():
            assert queue.live_job_ids() == {str(search_id)}
        assert client.get(f"/searches/{search_id}/status").json["notice"] is None

    def test_a_hung_redis_delays_a_search_only_briefly(
        self, redis: RedisUnderTest, app: Flask, client: Browser
    ) -> None:
        client.searched()
        redis.pause()
        token = client.token()
        data = {"csrf_token": token, "image": (io.BytesIO(photo()), "p.jpg")}
        began = time.monotonic()
        answer = client.send("/searches", data, headers=JSON)
        assert answer.status_code == 201
        assert client.get(answer.json["status_url"]).json["notice"]
        assert time.monotonic() - began < 3  # redis-py's own settings would take over 20
        redis.resume()


@BOTH
def test_original_files_of_failed_searches_are_removed_after_a_day(
    app: Flask, client: Browser, settings: Settings
) -> None:
    failed, waiting, young = (client.searched() for _ in range(3))
    with app.app_context():
        attempts.fail(claimed(failed), "no_index")
        attempts.fail(claimed(young), "no_index")
        for search_id in (failed, waiting):
            set_uploaded(search_id, utcnow() - timedelta(days=2))
        assert housekeeping.sweep(utcnow()).originals == 1
    assert len(stored(settings)) == 2
    assert client.post(f"/searches/{failed}/again").status_code == 410
    assert client.post(f"/searches/{young}/again").status_code == 303


def test_old_searches_of_visitors_are_deleted_and_others_are_kept(
    app: Flask, client: Browser, settings: Settings
) -> None:
    account = Browser(app)
    account.signup()
    old, young, kept = client.searched(), client.searched(), account.searched()
    with app.app_context():
        for search_id in (old, kept):
            set_created(search_id, utcnow() - timedelta(days=8))
        swept = housekeeping.sweep(utcnow())
        left = set(db.session.scalars(sa.select(Search.id)))
    assert (swept.searches, left) == (1, {young, kept})
    assert len(stored(settings)) == 2


@pytest.mark.parametrize("name", ["\xe9t\xe9.jpg", "\xff", "p.jpg\x80\xfe"])
def test_a_form_with_a_file_name_that_is_not_utf_8_is_read(client: Browser, name: str) -> None:
    fields = {"csrf_token": client.token("/"), "submission": uuid.uuid4().hex}
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    )
    header = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    body += header.encode("latin-1") + photo() + b"\r\n--x--\r\n"
    answer = client.client.post("/searches", data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 303, answer.text
