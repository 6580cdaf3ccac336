"""Fixtures of the gallery's tests: an index, and a web site to download from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http import Site, serving
from tests.support.index import encoder, index, other_encoder, weights  # noqa: F401
from tests.support.privileges import public_folder  # noqa: F401


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a gallery, which does not exist yet."""
    return tmp_path / "gallery"
