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
