"""Damaged and hostile files of the index and of weights, and weights that changed (rows 22, 24, 25, 26)."""

from __future__ import annotations

import io
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gallery import Store, generations
from gallery.errors import FingerprintError, IndexCorruptError, StoreError
from gallery.exchange import import_npz
from gallery.manifest import FEATURES, ITEMS, MANIFEST
from gallery.writer import write_generation
from model import CheckpointError, Encoder, load_encoder
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.drawings import picture
from tests.support.galleries import write_picture
from tests.support.index import Index
from tests.support.installation import Installation
from tests.support.pth import write_pth_parts

FLIPS = 1000


def newest(index: Index) -> Path:
    return index.folder / "generations" / generations.names(index.folder)[0]


def header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return file.tell()


def test_row_22_a_flipped_bit_anywhere_is_refused(index: Index) -> None:
    index.build()
    rng = random.Random(0)
    for number in range(FLIPS):
        path = newest(index) / (FEATURES, ITEMS, MANIFEST)[number % 3]
        sound = path.read_bytes()
        damaged = bytearray(sound)
        damaged[rng.randrange(len(sound))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(IndexCorruptError):
            index.open()
        path.write_bytes(sound)
    with index.open() as store:
        assert len(store) == 12


@pytest.mark.parametrize("name", [FEATURES, ITEMS, MANIFEST])
def test_row_22_a_file_cut_off_anywhere_is_refused(index: Index, name: str) -> None:
    index.build()
    path = newest(index) / name
    sound = path.read_bytes()
    header = range(header_bytes(path) + 2) if name == FEATURES else range(0, len(sound), 997)
    for length in [*header, len(sound) - 1]:
        path.write_bytes(sound[:length])
        with pytest.raises(IndexCorruptError):
            index.open()
    path.unlink()
    with pytest.raises(IndexCorruptError):
        index.open()


@pytest.mark.parametrize("name", [FEATURES, ITEMS, MANIFEST])
def test_row_22_the_previous_generation_serves_if_the_newest_is_damaged(
    index: Index, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = index.build().generation
    write_picture(index.root / "new.png", 1)
    second = index.build().generation
    (newest(index) / name).write_bytes(b"damaged")
    with index.open() as store:
        assert (store.generation, len(store)) == (first, 12)
        assert store.catalog.replaces_damaged
        assert not store.stale()
        assert f"generation {second} is refused" in caplog.text
        assert index.build().count == 13
        assert store.stale()
    with index.open() as store:
        assert len(store) == 13


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_row_24_a_vector_without_a_direction_is_refused_and_the_others_are_indexed(
    index: Index, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    encode = index.encoder.encode_arrays

    def spoil(batch: Any) -> Any:
        features = encode(batch)
        features[0] = value
        return features

    monkeypatch.setattr(index.encoder, "encode_arrays", spoil)
    report = index.build(batch_size=6)
    assert [file.reason for file in report.skipped] == [
        "the encoder returned a feature with NaN or infinity, or of only zeros"
    ] * 2
    with index.open() as store:
        np.testing.assert_allclose(np.linalg.norm(store.features, axis=1), 1, atol=1e-6)
        assert len(store) == 10


@pytest.mark.parametrize("factor", [1.01, np.nan, 0.0])
def test_row_24_vectors_that_are_not_of_length_one_are_never_written(index: Index, factor: float) -> None:
    index.build()
    with index.open() as store:
        items, features = store.catalog.page(0, 12), store.features * np.float32(factor)
        with pytest.raises(StoreError):
            write_generation(
                index.folder, items, [features], model="x", fingerprint=store.fingerprint, root=index.root,
                attribution="", scanned=0,
            )  # fmt: skip
    with index.open() as store:
        assert store.generation == generations.names(index.folder)[0]


class Bomb:
    """Creates a file when its pickle is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.trace,)


def objects(trace: Path, count: int = 12) -> Any:
    return np.array([Bomb(trace)] * count, dtype=object)


def test_row_25_a_pickled_array_in_an_index_is_refused_and_never_loaded(index: Index, tmp_path: Path) -> None:
    index.build()
    path = newest(index) / FEATURES
    file = io.BytesIO()
    np.save(file, objects(tmp_path / "trace"), allow_pickle=True)
    path.write_bytes(file.getvalue().ljust(path.stat().st_size, b"\0"))
    with pytest.raises(IndexCorruptError):
        index.open()
    with pytest.raises(IndexCorruptError, match="not an array of numbers"):
        index.open(verify="quick")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["features", "paths"])
def test_row_25_a_pickled_array_in_an_import_is_refused_and_never_loaded(
    index: Index, tmp_path: Path, name: str
) -> None:
    arrays: dict[str, Any] = {"features": np.eye(3, 64, dtype=np.float32), "paths": np.array(["a", "b", "c"])}
    np.savez(tmp_path / "some.npz", **arrays | {name: objects(tmp_path / "trace", 3)})
    with pytest.raises(StoreError):
        import_npz(
            tmp_path / "some.npz", index.folder, root=tmp_path, model="tiny",
            fingerprint=index.encoder.fingerprint, thumbnails_dir=index.thumbnails,
        )  # fmt: skip
    assert not (tmp_path / "trace").exists()


def weights_npz(path: Path, trace: Path) -> None:
    np.savez(path, cls_token=objects(trace))


def weights_pth(path: Path, trace: Path) -> None:
    write_pth_parts(path, pickle.dumps({"cls_token": Bomb(trace)}, 2), [])


def weights_pickle(path: Path, trace: Path) -> None:
    path.write_bytes(pickle.dumps({"cls_token": Bomb(trace)}, 2))


@pytest.mark.parametrize(
    ("name", "write"),
    [("w.npz", weights_npz), ("w.pth", weights_pth), ("old.pth", weights_pickle)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_row_25_weights_that_would_run_something_are_refused_and_never_loaded(
    tmp_path: Path, name: str, write: Callable[[Path, Path], None]
) -> None:
    write(tmp_path / name, tmp_path / "trace")
    with pytest.raises(CheckpointError):
        load_encoder(tmp_path / name)
    assert not (tmp_path / "trace").exists()


def test_row_26_an_index_of_other_weights_is_refused_with_the_command_that_fixes_it(
    index: Index, other_encoder: Encoder
) -> None:
    index.build()
    with pytest.raises(FingerprintError, match=f"flask gallery index {index.root}"):
        Store.open(index.folder, expected=other_encoder.fingerprint)


def test_row_26_a_search_after_a_change_of_weights_fails_with_its_reason_and_the_fix_is_logged(
    installation: Installation,
) -> None:
    weights = installation.directory / "own" / installation.settings.model_path.name
    weights.parent.mkdir()
    shutil.copy(installation.settings.model_path, weights)
    with installation.worker(MODEL_PATH=str(weights)) as worker:
        assert installation.ended(installation.submit()).status == "done"
        write_tiny_checkpoint(weights.with_name("new.safetensors")).replace(weights)
        row = installation.ended(installation.submit(picture(1)))
        assert (row.status, row.error_code) == ("failed", "index_mismatch")
        assert "flask gallery index" in worker.output()
