"""State transitions of a search: claims, and writes fenced by the attempt number."""

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
from worker.reconciliation import reconcile

pytestmark = [BOTH, pytest.mark.usefixtures("context")]


def results() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(SearchResult)) or 0


def lapse(search_id: uuid.UUID) -> None:
    """Reconcile a minute later, when a lease of ten seconds has lapsed."""
    reconcile(set(), utcnow() + timedelta(minutes=1))


def test_a_claim_contains_the_query() -> None:
    search_id = waiting_search()
    claim = claimed(search_id)
    assert (claim.attempt, claim.kind, claim.query_item) == (1, "upload", None)
    assert claim.picture is not None
    assert claim.picture.read_bytes() == photo()
    assert claim.needs_preview
    assert (row(search_id).status, row(search_id).stage) == ("running", "encoding")


def test_a_search_for_an_item_needs_no_file() -> None:
    claim = claimed(waiting_search(item="a" * 16))
    assert (claim.kind, claim.query_item, claim.picture, claim.needs_preview) == (
        "item",
        "a" * 16,
        None,
        False,
    )


def test_only_one_of_several_workers_can_claim_a_search(app: Flask) -> None:
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


def test_finishing_stores_results_in_order_and_the_feature() -> None:
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


def test_the_re_encoded_picture_replaces_the_original() -> None:
    claim = claimed(waiting_search())
    preview = storage.save_preview(io.BytesIO(b"preview"))
    finish(claim, preview=preview)
    assert claim.picture is not None
    assert not claim.picture.exists()
    assert storage.path_of(preview).exists()


@pytest.mark.parametrize("late", ["set_stage", "renew", "finish", "fail", "retry"])
@pytest.mark.parametrize("meanwhile", ["lapsed", "again", "done", "deleted"])
def test_a_late_worker_changes_nothing(meanwhile: str, late: str) -> None:
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
def test_a_picture_is_kept_only_if_it_can_be_searched_again(code: str, kept: bool) -> None:
    search_id = waiting_search()
    claim = claimed(search_id)
    assert attempts.fail(claim, code)
    assert claim.picture is not None
    assert claim.picture.exists() is kept
    assert (row(search_id).status, row(search_id).error_code) == ("failed", code)


def test_a_returned_search_waits_again_and_fails_after_three_attempts() -> None:
    search_id = waiting_search()
    tried = []
    for _ in range(attempts.MAX_ATTEMPTS):
        tried.append(attempts.retry_later(claimed(search_id), "out_of_memory"))
    assert tried == [True, True, False]
    assert (row(search_id).status, row(search_id).error_code) == ("failed", "out_of_memory")


def test_a_renewed_lease_does_not_lapse() -> None:
    search_id = waiting_search()
    claim = claimed(search_id, lease_seconds=100)
    lapse_in_a_minute = utcnow() + timedelta(minutes=1)
    reconcile(set(), lapse_in_a_minute)
    assert row(search_id).status == SearchStatus.RUNNING
    assert attempts.renew(claim)


def test_a_repeated_search_reuses_the_known_feature() -> None:
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
