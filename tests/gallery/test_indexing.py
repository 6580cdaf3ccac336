"""Indexing: which pictures are encoded, reused, skipped and removed, and which errors are raised."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gallery.catalog import thumbnail_file
from gallery.errors import IndexBusyError, StoreError
from gallery.locks import exclusive
from model import Encoder
from model.files import sha256_file, try_lock
from model.pictures import open_rgb
from tests.support.galleries import write_picture
from tests.support.index import Index, Spy

LONG_AGO = 1_000_000_000


def age(root: Path) -> None:
    """Give all files an old time of change, by which unchanged files are recognised."""
    for path in root.rglob("*.*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def test_every_item_has_the_encoders_feature_of_its_picture(index: Index) -> None:
    report = index.build(batch_size=5)
    with index.open() as store:
        paths = [item.path for item in store.catalog.page(0, 100)]
        assert paths == sorted(path.relative_to(index.root).as_posix() for path in index.root.rglob("*.*"))
        expected = index.encoder.encode([index.root / path for path in paths])
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(store.features, expected, atol=1e-6)
    assert (report.indexed, report.reused, report.removed, report.skipped) == (12, 0, 0, [])


def test_items_describe_their_files(index: Index) -> None:
    index.build()
    with index.open() as store:
        item = store.catalog.page(0, 1)[0]
    file = index.root / item.path
    assert (item.name, item.format, item.width, item.height) == (file.name, "JPEG", 64, 48)
    assert (item.sha256, item.size, item.mtime) == (
        sha256_file(file), file.stat().st_size, file.stat().st_mtime_ns
    )  # fmt: skip


def test_nothing_is_encoded_or_written_again_when_nothing_has_changed(index: Index) -> None:
    first = index.build()
    spy = Spy(index.encoder)
    second = index.build(encoder=spy)
    assert (spy.pictures, second.indexed, second.reused) == (0, 0, 12)
    assert second.generation == first.generation


def test_only_new_contents_are_encoded_and_missing_files_are_removed(index: Index) -> None:
    index.build()
    files = sorted(index.root.rglob("*.*"))
    files[0].unlink()
    files[1].rename(files[1].with_name("renamed.png"))
    (index.root / "copy.jpg").write_bytes(files[2].read_bytes())
    write_picture(files[3], seed=300)
    write_picture(index.root / "new.png", seed=301)
    spy = Spy(index.encoder)
    report = index.build(encoder=spy)
    assert (spy.pictures, report.indexed, report.reused, report.removed) == (2, 2, 11, 2)
    with index.open() as store:
        assert len(store) == 13
        copy, original = (store.catalog.page(0, 1, query) for query in ("copy.jpg", files[2].name))
        np.testing.assert_array_equal(store.feature(copy[0].id), store.feature(original[0].id))


def test_a_file_of_the_same_size_changed_right_after_the_scan_is_noticed(index: Index) -> None:
    first, second = (write_picture(index.root / "same.bmp", seed).read_bytes() for seed in (400, 401))
    file = index.root / "same.bmp"
    file.write_bytes(first)
    index.build()
    before = file.stat()
    file.write_bytes(second)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert len(first) == len(second)
    assert index.build().indexed == 1


def test_files_known_by_size_and_time_are_not_read_again(index: Index) -> None:
    age(index.root)
    index.build()
    file = index.root / "a" / "000.jpg"
    file.write_bytes(bytes(file.stat().st_size))
    os.utime(file, (LONG_AGO, LONG_AGO))
    assert index.build().reused == 12


def test_a_folder_without_pictures_never_replaces_an_index(index: Index) -> None:
    generation = index.build().generation
    for path in index.root.rglob("*.*"):
        path.unlink()
    (index.root / "left.txt").touch()
    with pytest.raises(StoreError, match=r"No picture in .*left\.txt"):
        index.build()
    with index.open() as store:
        assert (store.generation, len(store)) == (generation, 12)


def test_an_interrupted_run_is_resumed(index: Index) -> None:
    class InterruptedRunError(Exception):
        pass

    def cut(features: Any, spy: Spy) -> Any:
        if len(spy.batches) == 3:
            raise InterruptedRunError
        return features

    with pytest.raises(InterruptedRunError):
        index.build(encoder=Spy(index.encoder, cut), batch_size=4)
    spy = Spy(index.encoder)
    report = index.build(encoder=spy, batch_size=4)
    assert (spy.pictures, report.indexed, report.reused) == (4, 4, 8)


def test_each_batch_is_logged_when_it_is_encoded(index: Index) -> None:
    sizes: list[int] = []

    def look(features: Any, spy: Spy) -> Any:
        sizes.append((index.folder / "progress.log").stat().st_size)
        return features

    index.build(encoder=Spy(index.encoder, look), batch_size=4)
    assert sizes[0] < sizes[1] < sizes[2]


def test_copies_are_encoded_once(index: Index) -> None:
    for path in list(index.root.rglob("*.*")):
        for number in range(3):
            path.with_stem(f"{path.stem} copy {number}").write_bytes(path.read_bytes())
    spy = Spy(index.encoder)
    report = index.build(encoder=spy, workers=4)
    assert (report.count, spy.pictures, report.indexed) == (48, 12, 12)


def test_another_model_encodes_everything_again(index: Index, other_encoder: Encoder) -> None:
    index.build()
    report = index.build(encoder=other_encoder)
    assert (report.indexed, report.removed) == (12, 0)
    with index.open(expected=other_encoder.fingerprint) as store:
        expected = other_encoder.encode([store.catalog.file(store.catalog.at(0))])[0]
        np.testing.assert_allclose(store.features[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_another_folder_replaces_the_first(index: Index, tmp_path: Path) -> None:
    write_picture(index.root / "same.bmp", 500)
    age(index.root)
    index.build()
    index.root = tmp_path / "others"
    for seed, name in enumerate(("same.bmp", "b.png", "c.png"), start=501):
        write_picture(index.root / name, seed)
    age(index.root)
    report = index.build(replace=True)
    assert (report.indexed, report.removed) == (3, 12)


def test_a_second_indexer_is_refused(index: Index) -> None:
    with exclusive(index.folder), pytest.raises(IndexBusyError, match=rf"process \(id {os.getpid()}\) is"):
        index.build()
    assert index.build().count == 12


def test_a_full_disk_leaves_the_old_generation_and_the_finished_work(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = index.build().generation
    write_picture(index.root / "new.png", seed=600)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            index.build()
    with index.open() as store:
        assert store.generation == generation
    spy = Spy(index.encoder)
    assert index.build(encoder=spy).count == 13
    assert spy.pictures == 0


def test_thumbnails_are_made_once_for_each_content_and_restored(index: Index) -> None:
    for name in ("scan.tif", "copy.tif"):
        write_picture(index.root / name, seed=700, size=(2000, 1000))
    index.build()
    sha256 = sha256_file(index.root / "scan.tif")
    small = thumbnail_file(index.thumbnails, sha256)
    large = thumbnail_file(index.thumbnails, sha256, large=True)
    assert (open_rgb(small).size, open_rgb(large).size) == ((320, 160), (1600, 800))
    assert len(list(index.thumbnails.rglob("*.*"))) == 14
    small.write_bytes(b"")
    large.unlink()
    assert index.build().indexed == 0
    assert (open_rgb(small).size, open_rgb(large).size) == ((320, 160), (1600, 800))


def test_pictures_of_different_shapes_are_batched_by_shape(index: Index) -> None:
    shapes = [(3, 28, 28), (3, 28, 42), (3, 42, 28)]
    spy = Spy(index.encoder)
    counter = iter(range(100))
    prepared = index.encoder.prepare

    def prepare(image: Any) -> Any:
        _, height, width = shapes[next(counter) % 3]
        return prepared(image)[:, :height, :width]

    spy.prepare = prepare
    index.build(encoder=spy, workers=1, batch_size=3)
    assert sorted(spy.batches) == sorted((count, *shape) for shape in shapes for count in (3, 1))


def test_a_large_jpeg_finds_itself_and_keeps_its_own_size(index: Index) -> None:
    path = index.root / "large.jpg"
    Image.effect_noise((2000, 1400), 60).convert("RGB").save(path)
    index.build()
    with index.open() as store:
        [(item, score)] = store.search(index.encoder.encode([index.encoder.decode(path)])[0], 1)
    assert (item.path, item.width, item.height) == ("large.jpg", 2000, 1400)
    assert score == pytest.approx(1, abs=1e-6)


def test_progress_ends_with_every_file(index: Index) -> None:
    seen: list[tuple[int, int]] = []
    index.build(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 12) for number in range(1, 13)]


def test_index_and_thumbnails_inside_the_gallery_are_not_indexed(index: Index) -> None:
    index.folder = index.root / "index"
    index.thumbnails = index.root / "thumbnails"
    index.build()
    assert index.build().count == 12


def test_attribution_is_stored_in_the_manifest(index: Index) -> None:
    (index.root / "ATTRIBUTION.txt").write_text("Pictures: OpenMoji, CC BY-SA 4.0\n")
    report = index.build()
    assert report.skipped == []
    with index.open() as store:
        assert store.catalog.manifest.attribution == "Pictures: OpenMoji, CC BY-SA 4.0"


def test_an_indexer_that_has_just_taken_the_lock_is_named(index: Index) -> None:
    index.folder.mkdir()
    with (index.folder / "lock").open("w") as file:
        assert try_lock(file)
        late = threading.Timer(0.2, lambda: (index.folder / "lock").write_text("4711\n"))
        late.start()
        with pytest.raises(IndexBusyError, match=r"Another process \(id 4711\) is writing"):
            index.build()
        late.join()
        file.truncate(0)
        with pytest.raises(IndexBusyError, match="Another process is writing"):
            index.build()
