"""Damaged generations are refused, an older sound one serves, and none is removed while it is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gallery import Store, generations
from gallery.errors import IndexCorruptError
from gallery.manifest import FEATURES, ITEMS, MANIFEST
from tests.support.galleries import write_picture
from tests.support.index import Index


def newest(index: Index) -> Path:
    return index.folder / "generations" / generations.names(index.folder)[0]


def test_a_quick_check_still_covers_items_size_and_header(index: Index) -> None:
    index.build()
    path = newest(index) / FEATURES
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    index.open(verify="quick").close()
    for damaged in (sound[:-1], b"\x93NUMPX" + sound[6:], sound.replace(b"<f4", b"<i4")):
        path.write_bytes(damaged)
        with pytest.raises(IndexCorruptError):
            index.open(verify="quick")


@pytest.mark.parametrize(
    "pointer", [b"", b"no such name\n", b"00000009-0123456789abcdef\n", b"\xff\0", b"../../etc\n"]
)
def test_a_damaged_pointer_leads_to_the_newest_sound_generation(index: Index, pointer: bytes) -> None:
    generation = index.build().generation
    (index.folder / generations.CURRENT).write_bytes(pointer)
    with index.open() as store:
        assert store.generation == generation
        assert store.catalog.replaces_damaged
    index.build()
    with index.open() as store:
        assert not store.catalog.replaces_damaged


def test_an_index_without_a_sound_generation_is_built_from_scratch(index: Index) -> None:
    index.build()
    (newest(index) / FEATURES).write_bytes(b"")
    assert index.build().indexed == 12
    shutil.rmtree(index.folder / "generations")
    assert index.build().indexed == 12


def test_the_previous_generation_is_kept_and_older_ones_only_while_they_are_read(index: Index) -> None:
    index.build()
    readers: list[Store] = []
    for seed in range(4):
        if seed == 1:
            readers.append(index.open())
        write_picture(index.root / f"new{seed}.png", seed)
        index.build()
    kept = generations.names(index.folder)
    assert [name[:8] for name in kept] == ["00000005", "00000004", "00000002"]
    assert len(readers[0].search(readers[0].feature(readers[0].catalog.at(0).id), 20)) == 13
    readers.pop().close()
    write_picture(index.root / "last.png", 9)
    index.build()
    assert [name[:8] for name in generations.names(index.folder)] == ["00000006", "00000005"]


def test_a_generation_removed_between_pointer_and_opening_is_not_reported_as_damage(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index.build()
    candidates = generations._candidates

    def outrun(folder: Path, pointer: str) -> list[str]:
        monkeypatch.setattr(generations, "_candidates", candidates)
        for seed in range(3):
            write_picture(index.root / f"new{seed}.png", seed)
            index.build()
        return [pointer]

    monkeypatch.setattr(generations, "_candidates", outrun)
    with index.open() as store:
        assert len(store) == 15
        assert not store.catalog.replaces_damaged
    assert caplog.text == ""


def test_files_left_by_a_killed_writer_are_removed(index: Index) -> None:
    index.build()
    staging = index.folder / "generations" / ".staging"
    staging.mkdir()
    (staging / FEATURES).write_bytes(b"half")
    write_picture(index.root / "new.png", 1)
    index.build()
    assert sorted(path.name for path in newest(index).iterdir()) == sorted([FEATURES, ITEMS, MANIFEST])
    assert not staging.exists()
