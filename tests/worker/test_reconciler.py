from __future__ import annotations

import io
import os
import time
import uuid

import sqlalchemy as sa

from app import queue
from app.database import Search, utcnow
from app.transactions import transaction
from app.uploads import storage
from tests.support.drawings import picture
from tests.support.installation import Installation
from worker import attempts
from worker.reconciler import Reconciler


def put(installation: Installation, search_id: uuid.UUID, **values: object) -> None:
    with installation.app.app_context(), transaction() as session:
        session.execute(sa.update(Search).where(Search.id == search_id).values(**values))


def live(installation: Installation) -> set[str]:
    with installation.app.app_context():
        return queue.live_job_ids()


def test_searches_without_a_job_are_enqueued_but_new_ones_are_left_to_the_web_process(
    installation: Installation,
) -> None:
    old = [installation.submit(picture(number), enqueue=False) for number in range(3)]
    young = installation.submit(enqueue=False)
    put(installation, young, created=utcnow())
    assert Reconciler(installation.app).reconcile()
    assert live(installation) == {str(search_id) for search_id in old}


def test_a_search_is_enqueued_again_when_its_lease_lapses_and_only_then(
    installation: Installation,
) -> None:
    lapsed, renewed = installation.submit(enqueue=False), installation.submit(enqueue=False)
    with installation.app.app_context():
        attempts.claim(lapsed, -1.0)
        attempts.claim(renewed, 10.0)
    Reconciler(installation.app).reconcile()
    assert live(installation) == {str(lapsed)}


def test_leases_lapse_while_redis_is_unavailable_too(installation: Installation) -> None:
    search_id = installation.submit(enqueue=False)
    with installation.app.app_context():
        for _ in range(attempts.MAX_ATTEMPTS):
            put(installation, search_id, status="queued")
            attempts.claim(search_id, -1.0)
    installation.redis.stop()
    assert Reconciler(installation.app).reconcile()
    row = installation.row(search_id)
    assert row is not None
    assert (row.status, row.error_code) == ("failed", "worker_lost")


def test_only_one_of_several_reconcilers_acts(installation: Installation) -> None:
    first, second = Reconciler(installation.app), Reconciler(installation.app)
    second._holder = "another"
    assert first.reconcile()
    assert not second.reconcile()
    assert first.reconcile()


def test_orphaned_files_are_removed_and_others_kept(installation: Installation) -> None:
    installation.submit(enqueue=False)
    (kept,) = installation.settings.uploads_dir.iterdir()
    with installation.app.app_context():
        orphan = storage.path_of(storage.save_original(io.BytesIO(b"an orphan")))
    long_ago = time.time() - 2 * storage.ORPHAN_AGE
    for file in (kept, orphan):
        os.utime(file, (long_ago, long_ago))
    Reconciler(installation.app).reconcile()
    assert kept.exists()
    assert not orphan.exists()
