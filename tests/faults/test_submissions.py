"""Submissions without Redis, repeated, and by the thousand (rows 6, 7, 15 and 16).

Requests go over HTTP to a real web process; a real worker searches.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from app.database import Search, Upload
from app.extensions import db
from tests.support.doors import Visitor
from tests.support.installation import Installation
from tests.support.servers import RedisUnderTest
from tests.support.waiting import eventually
from tests.support.web import photo

PROMISED = 1.5  # seconds within which a page answers without Redis
REPLAYS = 50
FLOOD, SENDERS, QUEUE, EACH = 1000, 20, 100, 10


@pytest.fixture
def site(installation: Installation, redis: RedisUnderTest) -> Iterator[Installation]:
    limits = {"MAX_QUEUE": str(QUEUE), "MAX_PENDING_PER_OWNER": str(EACH), "VISITOR_SHARE": "100"}
    database = installation.environ["DATABASE_URL"]
    site = Installation(installation.directory, redis, DATABASE_URL=database, **limits)
    with site.serving():
        yield site
    site.close()


def timed(ask: Any) -> tuple[float, requests.Response]:
    began = time.monotonic()
    answer = ask()
    return time.monotonic() - began, answer


def rows(site: Installation, table: type) -> int:
    with site.app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def stored(site: Installation) -> list[Path]:
    return list(site.settings.uploads_dir.glob("*"))


@pytest.mark.parametrize("outage", [pytest.param("kill", id="row_06"), pytest.param("pause", id="row_07")])
def test_row_06_row_07_without_redis_pages_answer_and_a_search_waits_with_a_notice_and_runs_later(
    site: Installation, outage: str
) -> None:
    visitor = Visitor(site)
    token = visitor.token()
    getattr(site.redis, outage)()
    seconds, answer = timed(lambda: visitor.submit(photo(), token=token))
    assert (answer.status_code, seconds < PROMISED) == (201, True)
    search = answer.json()
    seconds, page = timed(lambda: visitor.get(search["url"]))
    notice = visitor.get(search["status_url"]).json()["notice"]
    assert notice
    assert (notice in page.text, seconds < PROMISED) == (True, True)
    for path in ("/", "/login", "/history", "/gallery", search["status_url"]):
        seconds, page = timed(lambda path=path: visitor.get(path))
        assert (path, page.status_code, seconds < PROMISED) == (path, 200, True)
    assert visitor.signup().status_code == 303
    assert visitor.get("/account").status_code == 200
    site.redis.restart() if outage == "kill" else site.redis.resume()
    ended = eventually(lambda: status if (status := visitor.status(search))["status"] == "done" else None)
    assert ended["notice"] is None
    assert len(ended["results"]) == 10
    row = site.row(uuid.UUID(search["id"]))
    assert row is not None
    assert row.attempt == 1


def test_row_15_a_form_sent_fifty_times_is_one_search(site: Installation) -> None:
    visitor = Visitor(site)
    token, submission = visitor.token("/"), uuid.uuid4().hex

    def send(_: int) -> Any:
        return visitor.submit(photo(), token=token, submission=submission).json()["id"]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(send, range(REPLAYS)))
    assert (len(ids), len(set(ids))) == (REPLAYS, 1)
    assert site.ended(uuid.UUID(ids[0])).status == "done"
    assert send(0) == ids[0]
    assert (rows(site, Search), rows(site, Upload), len(stored(site))) == (1, 1, 1)


def test_row_16_a_thousand_posts_are_accepted_up_to_the_caps(site: Installation) -> None:
    with site.without_worker():
        visitors = [Visitor(site) for _ in range(SENDERS)]
        tokens = [visitor.token() for visitor in visitors]

        def send(number: int) -> tuple[int, bool]:
            who = number % SENDERS
            answer = visitors[who].submit(photo(), token=tokens[who])
            return answer.status_code, int(answer.headers.get("Retry-After", 0)) > 0

        with ThreadPoolExecutor(8) as pool:
            told = Counter(pool.map(send, range(FLOOD)))
        assert set(told) <= {(201, False), (429, True), (503, True)}
        assert told[201, False] == rows(site, Search) == rows(site, Upload) == len(stored(site)) == QUEUE
        assert Visitor(site).get("/").status_code == 200


def test_row_16_one_owner_at_the_cap_is_refused_and_others_are_accepted(site: Installation) -> None:
    with site.without_worker():
        greedy = Visitor(site)
        token = greedy.token()
        answers = [greedy.submit(photo(), token=token) for _ in range(EACH + 2)]
        assert [answer.status_code for answer in answers] == [201] * EACH + [429] * 2
        assert answers[-1].json()["error"]["code"] == "too_many_pending"
        assert Visitor(site).send(photo()).status_code == 201
