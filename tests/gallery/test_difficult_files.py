"""Files that cannot be used, or cost more than others: each has its reason, and none stops the run."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from gallery.reading import MAX_FILE_BYTES, PROBED_FIRST_BYTES
from gallery.status import status
from tests.support.galleries import write_picture
from tests.support.index import Index, Spy


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


def test_a_date_after_2262_stops_nothing(index: Index) -> None:
    file = index.root / "a" / "000.jpg"
    os.utime(file, (2**34, 2**34))
    assert file.stat().st_mtime_ns > 2**63
    assert index.build().count == 12
    assert index.build().indexed == 0
    assert status(index.folder, index.encoder.fingerprint).changed == []
