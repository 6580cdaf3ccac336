"""Past searches: listed in pages, and deleted with their pictures."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from flask import Flask

from app.database import Search, SearchResult, Upload, utcnow
from config import Settings
from gallery.catalog import Catalog
from tests.support.galleries import tiny_index
from tests.support.searches import claimed, finish, hits, set_created
from tests.support.web import BOTH, Browser, count
from worker import attempts


@pytest.fixture
def environ() -> dict[str, str]:
    return {"MAX_PENDING_PER_OWNER": "100"}


@BOTH
def test_searches_are_listed_newest_first_twenty_per_page(app: Flask, client: Browser) -> None:
    for number in range(23):
        search_id = client.searched(filename=f"picture-{number:02}.jpg")
        with app.app_context():
            set_created(search_id, utcnow() - timedelta(hours=number))
    first, second = client.get("/history").text, client.get("/history?page=2").text
    assert [f"picture-{number:02}.jpg" in first for number in (0, 19, 20)] == [True, True, False]
    assert [f"picture-{number:02}.jpg" in second for number in (0, 19, 20, 22)] == [False, False, True, True]
    assert first.index("picture-00.jpg") < first.index("picture-01.jpg")
    assert client.get("/history?page=3").status_code == 404


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "9" * 30, "1e3"])
def test_invalid_page_numbers_are_no_server_error(client: Browser, page: str) -> None:
    assert client.get(f"/history?page={page}").status_code in (200, 404)


def test_the_home_page_shows_the_latest(client: Browser) -> None:
    client.searched(filename="latest.jpg")
    assert "latest.jpg" in client.get("/").text


def test_past_searches_show_the_hits_that_the_index_still_has(
    app: Flask, client: Browser, settings: Settings
) -> None:
    tiny_index(settings, 2)
    with Catalog.open(settings.index_dir) as catalog:
        item = catalog.at(0)
    kept = attempts.Hit(item.id, item.name, item.path, item.sha256, item.width, item.height, 0.9)
    search_id = client.searched()
    with app.app_context():
        finish(claimed(search_id), [*hits(2), kept])
    for path in ("/history", "/"):
        page = client.get(path).text.partition('class="past-hits"')[2]
        assert (page.count("mat-missing"), page.count(f"/gallery/{item.id}/thumb")) == (2, 1)


@BOTH
def test_deleting_a_search_removes_results_picture_and_file(
    app: Flask, client: Browser, settings: Settings
) -> None:
    first, second = client.searched(), client.searched()
    with app.app_context():
        finish(claimed(first))
    assert client.post(f"/history/{first}/delete").headers["Location"] == "/history"
    assert client.get(f"/searches/{first}").status_code == 404
    assert client.get(f"/searches/{second}").status_code == 200
    assert (count(app, Search), count(app, Upload), count(app, SearchResult)) == (1, 1, 0)
    assert len(list(settings.uploads_dir.iterdir())) == 1


@BOTH
def test_a_picture_stays_while_another_search_needs_it(
    app: Flask, client: Browser, settings: Settings
) -> None:
    first = client.searched()
    with app.app_context():
        finish(claimed(first))
    second = uuid.UUID(client.post(f"/searches/{first}/again").headers["Location"].split("/")[-1])
    client.post(f"/history/{first}/delete")
    assert len(list(settings.uploads_dir.iterdir())) == 1
    client.post(f"/history/{second}/delete")
    assert (count(app, Upload), list(settings.uploads_dir.iterdir())) == (0, [])


@BOTH
def test_deleting_all_deletes_only_the_owners_searches(
    app: Flask, client: Browser, settings: Settings
) -> None:
    other = Browser(app)
    kept = other.searched()
    for _ in range(3):
        client.searched()
    assert client.post("/history/delete").status_code == 303
    assert other.get(f"/searches/{kept}").status_code == 200
    assert (count(app, Search), len(list(settings.uploads_dir.iterdir()))) == (1, 1)


def test_deleting_twice_is_a_404(client: Browser) -> None:
    search_id = client.searched()
    client.post(f"/history/{search_id}/delete")
    assert client.post(f"/history/{search_id}/delete").status_code == 404


def test_a_new_browser_has_no_history(client: Browser) -> None:
    assert client.get("/history").status_code == 200
    assert client.post("/history/delete").status_code == 303
