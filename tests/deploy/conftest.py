"""Installations that are backed up and restored, or served behind a proxy."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import redis, redis_options, template  # noqa: F401
from tests.support.installation import Installation
from tests.support.servers import RedisUnderTest


@pytest.fixture
def site(template: Path, tmp_path: Path, redis: RedisUnderTest) -> Iterator[Installation]:  # noqa: F811
    """A site with a small gallery; nothing runs yet."""
    shutil.copytree(template, tmp_path / "data")
    with contextlib.closing(Installation(tmp_path / "data", redis)) as made:
        yield made
