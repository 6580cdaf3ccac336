"""`run_search`, called as the forked process calls it."""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image
from sqlalchemy import event

from app.database import Search, Upload, utcnow
from app.extensions import db
from app.transactions import transaction
from config import BUNDLED_MODEL
from gallery.catalog import item_id
from gallery.store import Store
from model import Encoder
from tests.support.drawings import PICTURES, drawing, picture
from tests.support.installation import Installation
from worker import attempts
from worker.jobs import LEASE_SECONDS, PREVIEW_SIDE, run_search
from worker.limits import Overrun
from worker.reconciliation import reconcile
from worker.runtime import Runtime


def upload_of(installation: Installation, search_id: uuid.UUID) -> Upload:
    with installation.app.app_context():
        statement = (
            sa.select(Upload).join(Search, Search.upload_id == Upload.id).where(Search.id == search_id)
        )
        upload = db.session.scalars(statement.options(sa.orm.undefer(Upload.features))).one()
        db.session.expunge(upload)
        return upload


def outcome(installation: Installation, search_id: uuid.UUID) -> tuple[str, str | None]:
    run_search(str(search_id))
    row = installation.row(search_id)
    assert row is not None
    return str(row.status), row.error_code


def test_a_picture_finds_itself_and_the_row_records_what_was_searched(
    installation: Installation, worker: Runtime
) -> None:
    search_id = installation.submit(picture(5), enqueue=False)
    assert outcome(installation, search_id) == ("done", None)
    row = installation.row(search_id)
    assert row is not None
    assert (row.searched, row.generation, row.model) == (PICTURES, worker.store.generation, BUNDLED_MODEL)
    assert row.seconds is not None
    assert row.seconds > 0
    assert installation.results(search_id)[0] == "05.png"


def test_the_results_are_those_of_the_store(installation: Installation, worker: Runtime) -> None:
    search_id = installation.submit(picture(11), enqueue=False)
    run_search(str(search_id))
    expected = worker.store.search(worker.encoder.encode([drawing(11)])[0], 10)
    assert installation.results(search_id) == [item.name for item, _ in expected]


def test_a_preview_without_metadata_replaces_the_original(
    installation: Installation, worker: Runtime
) -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x010F], exif[0x8825] = "a camera", {1: "N"}
    drawing(3).resize((2000, 1500)).save(file, "JPEG", exif=exif)
    search_id = installation.submit(file.getvalue(), enqueue=False)
    run_search(str(search_id))
    upload = upload_of(installation, search_id)
    (left,) = installation.settings.uploads_dir.iterdir()
    assert (upload.stored_name, upload.preview_name) == (None, left.name)
    with Image.open(left) as preview:
        assert (preview.format, preview.size) == ("JPEG", (PREVIEW_SIDE, PREVIEW_SIDE * 3 // 4))
        assert not preview.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(preview.info)


def test_the_feature_is_stored_and_used_when_searching_again(
    installation: Installation, worker: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = installation.submit(picture(5), enqueue=False)
    run_search(str(first))
    upload = upload_of(installation, first)
    assert upload.features is not None
    assert np.frombuffer(upload.features, "<f4").shape == (worker.encoder.dim,)
    assert upload.fingerprint == worker.encoder.fingerprint.as_dict()
    again = installation.again(first)
    monkeypatch.setattr(Encoder, "encode", lambda *_: pytest.fail("encoded again"))
    assert outcome(installation, again) == ("done", None)
    assert installation.results(again) == installation.results(first)


def test_a_feature_of_another_model_is_computed_again(installation: Installation, worker: Runtime) -> None:
    first = installation.submit(picture(5), enqueue=False)
    run_search(str(first))
    with installation.app.app_context(), transaction() as session:
        other = replace(worker.encoder.fingerprint, weights_sha256="0" * 64).as_dict()
        session.execute(sa.update(Upload).values(fingerprint=other, features=b"\0" * 4 * worker.encoder.dim))
    again = installation.again(first)
    assert outcome(installation, again) == ("done", None)
    assert installation.results(again)[0] == "05.png"
    assert upload_of(installation, again).fingerprint == worker.encoder.fingerprint.as_dict()


def test_a_search_for_an_item_encodes_nothing_and_excludes_the_item(
    installation: Installation, worker: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "encode", lambda *_: pytest.fail("encoded"))
    search_id = installation.submit(item=item_id("07.png"), enqueue=False)
    assert outcome(installation, search_id) == ("done", None)
    assert "07.png" not in installation.results(search_id)
    assert len(installation.results(search_id)) == 10


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x89PNG\r\n\x1a\n and then nothing", "broken"),
        (b"<svg/>", "unsupported_format"),
        (picture()[:200], "broken"),
    ],
)
def test_an_unusable_picture_fails_and_its_file_is_removed(
    installation: Installation, worker: Runtime, content: bytes, code: str
) -> None:
    assert outcome(installation, installation.submit(content, enqueue=False)) == ("failed", code)
    assert list(installation.settings.uploads_dir.iterdir()) == []


def test_a_search_whose_file_is_gone_fails(installation: Installation, worker: Runtime) -> None:
    search_id = installation.submit(enqueue=False)
    shutil.rmtree(installation.settings.uploads_dir)
    assert outcome(installation, search_id) == ("failed", "broken")


def test_a_search_for_an_item_that_is_gone_fails(installation: Installation, worker: Runtime) -> None:
    assert outcome(installation, installation.submit(item="f" * 16, enqueue=False)) == ("failed", "item_gone")


def test_without_an_index_the_search_fails(installation: Installation, worker: Runtime) -> None:
    shutil.rmtree(installation.settings.index_dir)
    worker.refresh()
    assert outcome(installation, installation.submit(enqueue=False)) == ("failed", "no_index")


@pytest.mark.parametrize(
    ("error", "code"),
    [(Overrun(), "timeout"), (MemoryError(), "out_of_memory"), (RuntimeError("a bug"), "internal")],
)
def test_every_error_is_written_to_the_row(
    installation: Installation,
    worker: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Store, "search", fail)
    assert outcome(installation, installation.submit(enqueue=False)) == ("failed", code)
    assert worker.slot.held() is None


@pytest.mark.parametrize("backend", ["sqlite"])  # one writer locks it; `make chaos` locks PostgreSQL
@pytest.mark.parametrize("step", ["claim", "set_stage", "finish"])
def test_a_locked_database_postpones_the_search(
    installation: Installation, worker: Runtime, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    search_id = installation.submit(enqueue=False)
    real = getattr(attempts, step)
    database = installation.directory / "vitrine.db"
    with monkeypatch.context() as patch, contextlib.closing(sqlite3.connect(database)) as other:

        def locked(*args: Any, **kwargs: Any) -> Any:
            other.execute("BEGIN IMMEDIATE")
            try:
                return real(*args, **kwargs)
            finally:
                other.rollback()

        with installation.app.app_context():  # shorten the wait of ten seconds
            event.listen(db.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA busy_timeout = 50"))
        patch.setattr(attempts, step, locked)
        run_search(str(search_id))
    assert worker.slot.held() is None
    row = installation.row(search_id)
    assert row is not None
    assert (row.status, row.error_code, row.attempt) == ("queued", None, 0)
    with installation.app.app_context():
        assert reconcile(set(), utcnow() + timedelta(seconds=LEASE_SECONDS)).enqueue == [search_id]
    assert outcome(installation, search_id) == ("done", None)


@pytest.mark.usefixtures("worker")
def test_a_search_that_is_not_queued_is_left_alone(installation: Installation) -> None:
    search_id = installation.submit(enqueue=False)
    assert outcome(installation, search_id) == ("done", None)
    assert outcome(installation, search_id) == ("done", None)
    row = installation.row(search_id)
    assert row is not None
    assert row.attempt == 1
    run_search(str(uuid.uuid4()))
