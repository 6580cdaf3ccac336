"""Installations that are backed up and restored, or served behind a proxy."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import redis, redis_options, template  # noqa: F401
from tests.support.servers import RedisUnderTest
from tests.support.site import Site


@pytest.fixture
def site(template: Path, tmp_path: Path, redis: RedisUnderTest) -> Iterator[Site]:  # noqa: F811
    """A site with a small gallery; nothing runs yet."""
    shutil.copytree(template, tmp_path / "data")
    with contextlib.closing(Site(tmp_path / "data", redis)) as made:
        yield made
