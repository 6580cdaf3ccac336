"""The commands `status` and `prune`: what they report and what they remove."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gallery.catalog import Catalog, thumbnail_file
from gallery.errors import IndexBusyError, IndexMissingError
from gallery.locks import exclusive
from gallery.pruning import Pruned, prune
from gallery.status import status
from model import Encoder
from tests.support.galleries import write_picture
from tests.support.index import Index


def test_another_model_or_setting_is_detected(index: Index, other_encoder: Encoder) -> None:
    index.build()
    own = index.encoder.fingerprint
    others = [
        other_encoder.fingerprint,
        replace(own, preprocess="center_crop-224"),
        replace(own, positions="transformers"),
    ]
    assert not any(status(index.folder, fingerprint).matches for fingerprint in others)


def test_a_missing_index_is_an_error(index: Index) -> None:
    with pytest.raises(IndexMissingError):
        status(index.folder, index.encoder.fingerprint)


def test_prune_keeps_the_thumbnails_of_all_indexes(
    index: Index, other_encoder: Encoder, tmp_path: Path
) -> None:
    index.build()
    with Catalog.open(index.folder) as catalog:
        gone = [catalog.at(row).sha256 for row in (0, 1)]
    for path in ("a/000.jpg", "a/003.png"):
        (index.root / path).unlink()
    for seed in (60, 61):
        write_picture(index.root / "new.png", seed)
        index.build()
    only_here = write_picture(tmp_path / "others" / "only here.png", seed=70)
    second = Index(only_here.parent, tmp_path / "second", index.thumbnails, other_encoder)
    second.build()
    (index.thumbnails / gone[0][:2] / "killed.webp.1-2.part").touch()
    assert prune([index.folder, second.folder], index.thumbnails) == Pruned(generations=0, thumbnails=3)
    assert not any(thumbnail_file(index.thumbnails, sha256).exists() for sha256 in gone)
    assert len(list(index.thumbnails.glob("??/*"))) == 13
    assert prune([index.folder, second.folder], index.thumbnails) == Pruned(0, 0)


def test_prune_is_refused_while_an_index_is_written(index: Index) -> None:
    index.build()
    with exclusive(index.folder), pytest.raises(IndexBusyError):
        prune([index.folder], index.thumbnails)
