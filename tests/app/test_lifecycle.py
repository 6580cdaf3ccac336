"""What a worker may do to a search, and what it may not do any more."""

from __future__ import annotations

import io
import threading
import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from app.database import SearchResult, SearchStage, SearchStatus, utcnow
from app.extensions import db
from app.searches import deletion, service
from app.uploads import storage
from tests.support.searches import FINGERPRINT, SOMEONE, claimed, finish, hits, row, waiting_search
from tests.support.web import BOTH, photo
from worker import attempts

pytestmark = [BOTH, pytest.mark.usefixtures("context")]


def results() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(SearchResult)) or 0


def lapse(search_id: uuid.UUID) -> None:
    """Look at the row a minute later, when a lease of ten seconds has lapsed."""
    attempts.reconcile(set(), utcnow() + timedelta(minutes=1))


def test_a_claim_holds_what_the_search_takes() -> None:
    search_id = waiting_search()
    claim = claimed(search_id)
    assert (claim.attempt, claim.kind, claim.query_item) == (1, "upload", None)
    assert claim.picture is not None
    assert claim.picture.read_bytes() == photo()
    assert claim.needs_preview
    assert (row(search_id).status, row(search_id).stage) == ("running", "encoding")


def test_a_gallery_picture_needs_no_file() -> None:
    claim = claimed(waiting_search(item="a" * 16))
    assert (claim.kind, claim.query_item, claim.picture, claim.needs_preview) == (
        "item",
        "a" * 16,
        None,
        False,
    )


def test_a_search_is_claimed_once(app: Flask) -> None:
    search_id = waiting_search()
    claims = []

    def claim() -> None:
        with app.app_context():
            claims.append(attempts.claim(search_id, 10))

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([claim for claim in claims if claim]) == 1


@pytest.mark.parametrize("end", ["done", "failed", "deleted"])
def test_a_search_that_has_ended_cannot_be_claimed(end: str) -> None:
    search_id = waiting_search()
    if end == "done":
        finish(claimed(search_id))
    elif end == "failed":
        attempts.fail(claimed(search_id), "broken")
    else:
        deletion.delete_searches(SOMEONE, search_id)
    assert attempts.claim(search_id, 10) is None


def test_finishing_keeps_results_in_order_and_what_was_computed() -> None:
    search_id = waiting_search()
    claim = claimed(search_id)
    assert attempts.set_stage(claim, SearchStage.COMPARING)
    preview = storage.save_preview(io.BytesIO(b"preview"))
    assert finish(claim, hits(10), features=b"\0" * 8, fingerprint=FINGERPRINT, preview=preview)
    search = row(search_id)
    assert (search.status, search.stage, search.lease_until) == ("done", "done", None)
    assert [(hit.rank, hit.name) for hit in search.results] == [(n + 1, f"{n}.jpg") for n in range(10)]
    assert (search.seconds, search.searched, search.model) == (0.5, 12, "tiny")
    assert search.upload is not None
    assert (search.upload.features, search.upload.fingerprint) == (b"\0" * 8, FINGERPRINT)


def test_the_original_goes_when_the_re_encoded_picture_comes() -> None:
    claim = claimed(waiting_search())
    preview = storage.save_preview(io.BytesIO(b"preview"))
    finish(claim, preview=preview)
    assert claim.picture is not None
    assert not claim.picture.exists()
    assert storage.path_of(preview).exists()


@pytest.mark.parametrize("late", ["set_stage", "renew", "finish", "fail", "retry"])
@pytest.mark.parametrize("meanwhile", ["lapsed", "again", "done", "deleted"])
def test_who_comes_late_changes_nothing(meanwhile: str, late: str) -> None:
    search_id = waiting_search()
    claim = claimed(search_id)
    if meanwhile == "deleted":
        deletion.delete_searches(SOMEONE, search_id)
    else:
        lapse(search_id)
    if meanwhile in ("again", "done"):
        successor = claimed(search_id)
        if meanwhile == "done":
            finish(successor, hits(2))
    before = results()
    preview = storage.save_preview(io.BytesIO(b"preview"))
    did = {
        "set_stage": lambda: attempts.set_stage(claim, SearchStage.COMPARING),
        "renew": lambda: attempts.renew(claim),
        "finish": lambda: finish(claim, hits(9), preview=preview),
        "fail": lambda: attempts.fail(claim, "internal"),
        "retry": lambda: attempts.retry_later(claim),
    }[late]()
    assert did is False
    assert results() == before
    assert late != "finish" or not storage.path_of(preview).exists()
    if meanwhile != "deleted":
        assert row(search_id).status == {"lapsed": "queued", "again": "running", "done": "done"}[meanwhile]


@pytest.mark.parametrize(("code", "kept"), [("broken", False), ("no_index", True)])
def test_a_picture_is_kept_only_while_it_may_be_searched_again(code: str, kept: bool) -> None:
    search_id = waiting_search()
    claim = claimed(search_id)
    assert attempts.fail(claim, code)
    assert claim.picture is not None
    assert claim.picture.exists() is kept
    assert (row(search_id).status, row(search_id).error_code) == ("failed", code)


def test_a_search_given_back_waits_again_and_after_three_attempts_fails() -> None:
    search_id = waiting_search()
    tried = []
    for _ in range(attempts.MAX_ATTEMPTS):
        tried.append(attempts.retry_later(claimed(search_id), "out_of_memory"))
    assert tried == [True, True, False]
    assert (row(search_id).status, row(search_id).error_code) == ("failed", "out_of_memory")


def test_renewing_keeps_the_lease() -> None:
    search_id = waiting_search()
    claim = claimed(search_id, lease_seconds=100)
    lapse_in_a_minute = utcnow() + timedelta(minutes=1)
    attempts.reconcile(set(), lapse_in_a_minute)
    assert row(search_id).status == SearchStatus.RUNNING
    assert attempts.renew(claim)


def test_reconciling_returns_waiting_searches_that_no_job_stands_for_oldest_first() -> None:
    first, second, third = (waiting_search() for _ in range(3))
    claimed(third)
    later = utcnow() + timedelta(seconds=5)
    assert attempts.reconcile({str(first)}, later) == ([second], [])
    assert attempts.reconcile(set(), later).enqueue == [first, second]


def test_reconciling_leaves_a_search_alone_that_is_about_to_be_enqueued() -> None:
    waiting_search()
    assert attempts.reconcile(set()) == ([], [])


def test_a_lapsed_search_goes_back_to_the_queue_at_once_and_keeps_its_attempt() -> None:
    search_id = waiting_search()
    claimed(search_id)
    found = attempts.reconcile(set(), utcnow() + timedelta(seconds=11))
    assert found.enqueue == [search_id]
    assert (row(search_id).attempt, row(search_id).stage) == (1, "waiting")
    assert claimed(search_id).attempt == 2


def test_a_search_lost_three_times_fails_honestly() -> None:
    search_id = waiting_search()
    for _ in range(attempts.MAX_ATTEMPTS):
        claimed(search_id)
        found = attempts.reconcile(set(), utcnow() + timedelta(minutes=1))
    assert found == ([], [search_id])
    assert (row(search_id).status, row(search_id).error_code) == ("failed", "worker_lost")
    assert row(search_id).finished is not None


def test_a_repeated_search_brings_the_features_that_are_known() -> None:
    search_id = waiting_search()
    finish(
        claimed(search_id),
        features=b"12345678",
        fingerprint=FINGERPRINT,
        preview=storage.save_preview(io.BytesIO(b"preview")),
    )
    claim = claimed(service.search_again(SOMEONE, row(search_id)))
    assert (claim.features, claim.fingerprint, claim.needs_preview) == (b"12345678", FINGERPRINT, False)
    assert claim.picture is not None
    assert claim.picture.read_bytes() == b"preview"
