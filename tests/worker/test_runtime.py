from __future__ import annotations

import logging
import shutil

import pytest

from app import create_app
from config import BUNDLED_MODEL, BUNDLED_WEIGHTS, load_settings
from gallery.errors import FingerprintError, IndexMissingError
from gallery.indexing import build
from model.errors import CheckpointError
from tests.support.drawings import drawing
from tests.support.installation import Installation
from worker.runtime import AttemptSlot, Runtime


def add_picture(installation: Installation, worker: Runtime) -> None:
    pictures = installation.directory / "pictures"
    drawing(40).save(pictures / "new.png")
    build(
        pictures,
        installation.settings.index_dir,
        worker.encoder,
        thumbnails_dir=installation.settings.thumbnails_dir,
        replace=True,
    )


def test_a_new_generation_replaces_the_old_one(installation: Installation, worker: Runtime) -> None:
    before = worker.store
    add_picture(installation, worker)
    assert worker.store is before
    worker.refresh()
    assert worker.store.generation != before.generation
    assert len(worker.store) == len(before) + 1


def test_nothing_is_reopened_while_nothing_changes(worker: Runtime) -> None:
    before = worker.store, worker.encoder
    worker.refresh()
    assert (worker.store, worker.encoder) == before


def test_missing_weights_are_logged_once_and_loaded_when_they_appear(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    weights = installation.directory / "late.safetensors"
    runtime = at(installation, MODEL_PATH=str(weights), MODEL=BUNDLED_MODEL)
    with caplog.at_level(logging.ERROR):
        runtime.refresh()
        runtime.refresh()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["searches will fail"]
    with pytest.raises(CheckpointError):
        _ = runtime.encoder
    assert runtime.store
    shutil.copy(BUNDLED_WEIGHTS, weights)
    runtime.refresh()
    assert runtime.encoder.dim == 384
    runtime.close()


def test_an_index_of_another_model_is_refused_with_the_fix(installation: Installation) -> None:
    runtime = at(installation, PREPROCESS="resize_short_side")
    runtime.refresh()
    with pytest.raises(FingerprintError, match="flask gallery index"):
        _ = runtime.store
    runtime.close()


def test_a_missing_index_does_not_stop_the_worker(installation: Installation) -> None:
    shutil.rmtree(installation.settings.index_dir)
    runtime = at(installation)
    runtime.refresh()
    with pytest.raises(IndexMissingError, match="flask gallery index DIR"):
        _ = runtime.store
    assert runtime.encoder
    runtime.close()


def test_the_slot_holds_an_attempt_until_released() -> None:
    slot = AttemptSlot()
    assert slot.held() is None
    slot.hold(3)
    assert slot.held() == 3
    slot.release()
    assert slot.held() is None


def at(installation: Installation, **environ: str) -> Runtime:
    return Runtime(create_app(load_settings(installation.environ | environ)))
