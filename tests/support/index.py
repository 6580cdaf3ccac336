"""Fixtures of a gallery and its index, made by a real encoder with seeded random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gallery import Report, Store, build
from model import Encoder
from tests.support.galleries import make_gallery, tiny_encoder


@dataclass
class Index:
    """A gallery of twelve pictures, and the folders for its index and thumbnails."""

    root: Path
    folder: Path
    thumbnails: Path
    encoder: Encoder

    def build(self, **options: Any) -> Report:
        defaults: dict[str, Any] = {
            "encoder": self.encoder, "thumbnails_dir": self.thumbnails, "workers": 2
        }  # fmt: skip
        return build(self.root, self.folder, **defaults | options)

    def open(self, **options: Any) -> Store:
        return Store.open(self.folder, **options)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def encoder(weights: Path) -> Encoder:
    return tiny_encoder(weights)


@pytest.fixture(scope="session")
def other_encoder(weights: Path) -> Encoder:
    return tiny_encoder(weights, seed=1)


@pytest.fixture
def index(tmp_path: Path, encoder: Encoder) -> Index:
    root = make_gallery(tmp_path / "pictures")
    return Index(root, tmp_path / "index", tmp_path / "thumbnails", encoder)
