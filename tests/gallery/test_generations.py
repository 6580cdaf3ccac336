"""Damage is refused, an older sound generation serves, and what is read is never removed."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from gallery import Store, generations
from gallery.errors import IndexCorruptError, StoreError
from gallery.manifest import FEATURES, ITEMS, MANIFEST
from tests.gallery.conftest import Index
from tests.support.galleries import write_picture

FLIPS = 300


def newest(index: Index) -> Path:
    return index.folder / "generations" / generations.names(index.folder)[0]


def header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return file.tell()


def test_a_flipped_bit_anywhere_is_refused(index: Index) -> None:
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
def test_a_file_cut_off_anywhere_is_refused(index: Index, name: str) -> None:
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


def test_a_quick_look_still_checks_items_size_and_header(index: Index) -> None:
    index.build()
    path = newest(index) / FEATURES
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    index.open(verify="quick").close()
    for damaged in (sound[:-1], b"\x93NUMPX" + sound[6:], sound.replace(b"<f4", b"<i4")):
        path.write_bytes(damaged)
        with pytest.raises(IndexCorruptError):
            index.open(verify="quick")


def test_a_pickled_array_is_refused_and_never_loaded(index: Index) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("the pickle was loaded",)

    index.build()
    path = newest(index) / FEATURES
    file = io.BytesIO()
    np.save(file, np.array([Bomb()] * 12, dtype=object), allow_pickle=True)
    path.write_bytes(file.getvalue().ljust(path.stat().st_size, b"\0"))
    with pytest.raises(IndexCorruptError):
        index.open()
    with pytest.raises(IndexCorruptError, match="no array of numbers"):
        index.open(verify="quick")


@pytest.mark.parametrize("name", [FEATURES, ITEMS, MANIFEST])
def test_the_generation_before_serves_where_the_newest_is_damaged(
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


def test_an_index_without_a_sound_generation_is_built_from_nothing(index: Index) -> None:
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
    assert len(readers[0].search(readers[0].vector(readers[0].catalog.at(0).id), 20)) == 13
    readers.pop().close()
    write_picture(index.root / "last.png", 9)
    index.build()
    assert [name[:8] for name in generations.names(index.folder)] == ["00000006", "00000005"]


def test_a_generation_removed_between_pointer_and_opening_is_no_damage(
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


def test_what_a_killed_writer_left_is_swept_away(index: Index) -> None:
    index.build()
    staging = index.folder / "generations" / ".staging"
    staging.mkdir()
    (staging / FEATURES).write_bytes(b"half")
    write_picture(index.root / "new.png", 1)
    index.build()
    assert sorted(path.name for path in newest(index).iterdir()) == sorted([FEATURES, ITEMS, MANIFEST])
    assert not staging.exists()


def test_vectors_that_are_not_of_length_one_are_never_written(index: Index) -> None:
    from gallery.writer import write_generation

    index.build()
    with index.open() as store:
        items = store.catalog.page(0, 12)
        for wrong in (
            store.features * np.float32(1.01),
            store.features * np.float32(np.nan),
            store.features[:11],
        ):
            with pytest.raises(StoreError):
                write_generation(
                    index.folder, items, [wrong], model="x", fingerprint=store.fingerprint, root=index.root,
                    attribution="", scanned=0,
                )  # fmt: skip
    with index.open() as store:
        assert store.generation == generations.names(index.folder)[0]
