"""Floods of searches without an account: limits by address, a share of the queue, quotas (row 72)."""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa
from flask import Flask

from app.database import Search, Upload
from app.extensions import db
from app.transactions import transaction
from app.uploads import storage
from config import Settings
from tests.support.searches import claimed, finish
from tests.support.web import BOTH, Browser, count, photo

PER_MINUTE = 6


@pytest.fixture
def environ() -> dict[str, str]:
    return {
        "VISITOR_SEARCHES_PER_MINUTE": str(PER_MINUTE),
        "MAX_QUEUE": "20",
        "VISITOR_SHARE": "50",
        "VISITOR_STORAGE_MB": "1",
        "ACCOUNT_STORAGE_MB": "1",
    }


def outcome(browser: Browser) -> tuple[int, str]:
    answer = browser.search()
    return answer.status_code, answer.json.get("error", {}).get("code", "")


def fill(app: Flask) -> None:
    """Let every stored picture have the size of a whole quota."""
    with app.app_context(), transaction() as session:
        session.execute(sa.update(Upload).values(size=2**20))


@BOTH
def test_row_72_an_address_that_drops_its_cookie_is_refused(app: Flask, settings: Settings) -> None:
    told = [outcome(Browser(app, "192.0.2.1")) for _ in range(PER_MINUTE + 3)]
    assert told == [(201, "")] * PER_MINUTE + [(429, "too_many_searches")] * 3
    assert count(app, Search) == count(app, Upload) == len(list(settings.uploads_dir.iterdir())) == PER_MINUTE
    assert outcome(Browser(app, "192.0.2.2")) == (201, "")


def test_row_72_a_refused_address_learns_when_to_come_back(app: Flask) -> None:
    for _ in range(PER_MINUTE):
        Browser(app, "192.0.2.1").search()
    answer = Browser(app, "192.0.2.1").search()
    assert 1 <= int(answer.headers["Retry-After"]) <= 60 / PER_MINUTE
    assert "log in" in answer.json["error"]["message"]


def test_row_72_a_network_of_ipv6_is_one_address_and_another_network_is_not(app: Flask) -> None:
    told = [outcome(Browser(app, f"2001:db8::{n}:1"))[0] for n in range(PER_MINUTE + 1)]
    assert told == [201] * PER_MINUTE + [429]
    assert outcome(Browser(app, "2001:db8:0:1::1"))[0] == 201


def test_row_72_searching_again_and_with_an_item_counts_too(app: Flask) -> None:
    browser = Browser(app, "192.0.2.1")
    search_id = browser.searched()
    told = []
    for _ in range(PER_MINUTE):
        told.append(browser.post(f"/searches/{search_id}/again").status_code)
    assert told == [303] * (PER_MINUTE - 1) + [429]


def test_row_72_an_account_is_not_limited_by_its_address(app: Flask, maria: Browser) -> None:
    for _ in range(PER_MINUTE + 1):
        Browser(app).search()
    assert [outcome(maria)[0] for _ in range(PER_MINUTE + 1)] == [201] * (PER_MINUTE + 1)


def test_row_72_a_repeated_submission_counts_once(client: Browser) -> None:
    answers = [client.search(submission="the-same-one").status_code for _ in range(PER_MINUTE + 3)]
    assert answers == [201] * len(answers)


def test_row_72_visitors_fill_their_share_of_the_queue_and_accounts_the_rest(
    app: Flask, maria: Browser
) -> None:
    told = [outcome(Browser(app, f"192.0.2.{n}")) for n in range(12)]
    assert told == [(201, "")] * 10 + [(503, "queue_full")] * 2
    assert [outcome(maria)[0] for _ in range(11)] == [201] * 10 + [503]


def test_row_72_visitors_share_a_quota_that_accounts_do_not_need(app: Flask, maria: Browser) -> None:
    Browser(app, "192.0.2.1").searched()
    fill(app)
    answer = Browser(app, "192.0.2.2").search()
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "visitor_storage_full")
    assert int(answer.headers["Retry-After"]) > 0
    assert outcome(maria) == (201, "")


def test_row_72_an_account_whose_quota_is_used_up_can_delete_and_go_on(app: Flask, maria: Browser) -> None:
    maria.searched()
    fill(app)
    assert outcome(maria) == (403, "storage_full")
    other = Browser(app)
    other.signup("zoe")
    assert outcome(other) == (201, "")
    maria.post("/history/delete")
    assert outcome(maria) == (201, "")


def test_row_72_the_copy_counts_when_it_has_replaced_the_original(app: Flask, client: Browser) -> None:
    search_id = client.searched(content=photo() + b"\0" * 1000)
    with app.app_context():
        preview = storage.save_preview(io.BytesIO(b"a small copy"))
        assert finish(claimed(search_id), preview=preview)
        assert db.session.scalar(sa.select(Upload.size)) == len(b"a small copy")
