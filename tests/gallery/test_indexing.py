"""Indexing: which pictures are encoded, reused, skipped and removed, and which errors are raised."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gallery.catalog import thumbnail_file
from gallery.errors import IndexBusyError, StoreError
from gallery.locks import exclusive
from gallery.reading import MAX_FILE_BYTES, PROBED_FIRST_BYTES
from gallery.status import status
from model import Encoder
from model.files import sha256_file
from model.pictures import open_rgb
from tests.support.galleries import write_picture
from tests.support.index import Index

LONG_AGO = 1_000_000_000


class Spy:
    """The encoder with a count of the pictures it encodes; `spoil` changes its features."""

    def __init__(self, encoder: Encoder, spoil: Any = None) -> None:
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.decode, self.prepare = encoder.decode, encoder.prepare
        self._encode, self._spoil = encoder.encode_arrays, spoil
        self.batches: list[tuple[int, ...]] = []

    def encode_arrays(self, batch: Any) -> Any:
        self.batches.append(batch.shape)
        features = self._encode(batch)
        return features if self._spoil is None else self._spoil(features, self)

    @property
    def pictures(self) -> int:
        return sum(shape[0] for shape in self.batches)


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


def test_broken_files_are_listed_with_reasons_and_never_fatal(index: Index) -> None:
    (index.root / "empty.jpg").touch()
    (index.root / "notes.TXT").write_text("not a picture")
    (index.root / "page.jpg").write_text("<html>")
    whole = (index.root / "a" / "000.jpg").read_bytes()
    (index.root / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (index.root / "half again.jpg").write_bytes(whole[: len(whole) // 2])
    (index.root / "suffix.dat").write_bytes(whole)
    report = index.build()
    reasons = {path: reason.split(":")[0] for path, reason in report.skipped}
    assert reasons == {
        "empty.jpg": "empty", "half.jpg": "broken", "half again.jpg": "broken",
        "notes.TXT": "not a picture (.txt)", "page.jpg": "unsupported_format",
    }  # fmt: skip
    assert report.count == 13


def test_a_large_file_is_read_only_if_it_begins_like_a_picture(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = index.root / "video.jpg"
    video.write_bytes(b"\0\0\0\x20ftypisom")
    os.truncate(video, MAX_FILE_BYTES)
    large = write_picture(index.root / "large.bmp", seed=900)
    os.truncate(large, PROBED_FIRST_BYTES + 1)
    read: list[int] = []
    sha256 = hashlib.sha256

    def watched(data: bytes = b"") -> Any:
        read.append(len(data))
        return sha256(data)

    monkeypatch.setattr(hashlib, "sha256", watched)
    report = index.build()
    assert [file.path for file in report.skipped] == ["video.jpg"]
    assert report.skipped[0].reason.startswith("unsupported_format")
    assert report.count == 13
    assert max(read) == PROBED_FIRST_BYTES + 1


@pytest.mark.parametrize("step", ["decode", "prepare"])
def test_a_picture_that_memory_does_not_suffice_for_is_skipped(index: Index, step: str) -> None:
    wide = write_picture(index.root / "wide.png", seed=901, size=(300, 20))
    spy = Spy(index.encoder)
    original = getattr(spy, step)

    def fail(source: Any) -> Any:
        if source in (wide.read_bytes(),) or getattr(source, "width", 0) == 300:
            raise MemoryError
        return original(source)

    setattr(spy, step, fail)
    report = index.build(encoder=spy)
    assert report.count == 12
    assert report.skipped == [("wide.png", "out_of_memory: there is not enough memory for this picture")]


def test_a_batch_that_memory_does_not_suffice_for_is_halved(index: Index) -> None:
    spy = Spy(index.encoder)
    encode = spy.encode_arrays

    def fail(batch: Any) -> Any:
        if len(batch) > 3:
            raise MemoryError
        return encode(batch)

    spy.encode_arrays = fail  # type: ignore[method-assign]
    assert index.build(encoder=spy, batch_size=8).count == 12
    assert sorted(shape[0] for shape in spy.batches) == [2, 2, 2, 2, 2, 2]


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
    report = index.build()
    assert (report.indexed, report.removed) == (3, 12)


def test_a_second_indexer_is_refused(index: Index) -> None:
    with exclusive(index.folder), pytest.raises(IndexBusyError, match=f"id {os.getpid()}"):
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


def test_a_date_after_2262_stops_nothing(index: Index) -> None:
    file = index.root / "a" / "000.jpg"
    os.utime(file, (2**34, 2**34))
    assert file.stat().st_mtime_ns > 2**63
    assert index.build().count == 12
    assert index.build().indexed == 0
    assert status(index.folder, index.encoder.fingerprint).changed == []
