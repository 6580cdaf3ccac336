"""Pictures that are absent for one run, and a gallery that would be replaced by a slip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gallery import removed
from gallery.errors import ManyMissingError, OtherGalleryError
from gallery.removed import KEEP_DAYS, RemovedFeatures
from model import Encoder
from model.pictures import PictureInfo
from tests.support.index import Index, Spy

INFO = PictureInfo("JPEG", 640, 480)


def indexed(index: Index) -> tuple[str, int]:
    with index.open() as store:
        return store.generation, len(store)


@pytest.mark.parametrize("part", ["a", "."])
def test_another_folder_is_refused_and_replaces_the_gallery_only_if_asked(
    index: Index, tmp_path: Path, part: str
) -> None:
    whole = index.root
    index.build()
    before = indexed(index)
    index.root = whole / "a" if part == "a" else whole.rename(tmp_path / "moved")
    spy = Spy(index.encoder)
    with pytest.raises(OtherGalleryError, match=f"{whole} .12 pictures., not {index.root}.*--replace"):
        index.build(encoder=spy)
    assert (spy.pictures, indexed(index)) == (0, before)
    assert index.build(encoder=spy, replace=True).indexed == 0


def test_many_missing_pictures_are_removed_only_if_asked_and_not_encoded_again(index: Index) -> None:
    index.build()
    before = indexed(index)
    aside = index.root.with_name("aside")
    aside.mkdir()
    for name in ("a", "b"):
        (index.root / name).rename(aside / name)
    with pytest.raises(ManyMissingError, match=r"of 12 pictures are missing.*--prune"):
        index.build()
    assert indexed(index) == before
    assert index.build(prune=True).removed > 5
    for name in ("a", "b"):
        (aside / name).rename(index.root / name)
    spy = Spy(index.encoder)
    assert (index.build(encoder=spy).reused, spy.pictures) == (12, 0)
    with index.open() as store:
        item = store.catalog.at(0)
        expected = index.encoder.encode([store.catalog.file(item)])[0]
        np.testing.assert_allclose(store.features[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_moved_pictures_are_not_missing(index: Index) -> None:
    index.build()
    for name in ("a", "b"):
        (index.root / name).rename(index.root / f"moved {name}")
    assert index.build().reused == 12


def test_the_demo_gallery_is_replaced_without_a_question(index: Index, tmp_path: Path) -> None:
    from gallery.about import DEMO_MARKER

    (index.root / DEMO_MARKER).touch()
    index.build()
    index.root = (index.root / "a").rename(tmp_path / "mine")
    assert index.build().count > 0


def keep(folder: Path, encoder: Encoder, days_ago: int, *numbers: int) -> None:
    today = datetime.now(UTC).date() - timedelta(days_ago)
    with RemovedFeatures(folder, encoder.fingerprint, today) as departed:
        vector = np.ones(encoder.dim, np.float32)
        departed.keep((f"{number:064x}", INFO, number * vector) for number in numbers)


def test_removed_features_are_found_for_a_month(tmp_path: Path, encoder: Encoder) -> None:
    keep(tmp_path, encoder, KEEP_DAYS + 1, 1)
    keep(tmp_path, encoder, KEEP_DAYS, 2, 3)
    keep(tmp_path, encoder, 0, 3, 4)
    with RemovedFeatures(tmp_path, encoder.fingerprint) as departed:
        assert [departed.info(f"{number:064x}") for number in range(1, 5)] == [None, INFO, INFO, INFO]
        found = departed.features([f"{number:064x}" for number in (4, 2, 3)])
        np.testing.assert_array_equal(found[:, 0], [4, 2, 3])
        with pytest.raises(KeyError):
            departed.features(["f" * 64])


def test_removed_features_take_bounded_space(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, encoder, 2, *range(100))
    monkeypatch.setattr(removed, "MAX_BYTES", 2048)
    keep(tmp_path, encoder, 1, 200)
    with RemovedFeatures(tmp_path, encoder.fingerprint) as departed:
        assert departed.info(f"{5:064x}") is None
        assert departed.info(f"{200:064x}") == INFO
