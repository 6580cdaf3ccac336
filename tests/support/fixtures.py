"""Fixtures around an installation; a conftest imports those that its folder needs."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drawings import PICTURES, drawing
from tests.support.gate import Gate
from tests.support.installation import Installation
from tests.support.servers import RedisUnderTest, redis_server


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a migrated database and an index of `PICTURES` drawings, made once."""
    directory = tmp_path_factory.mktemp("template")
    pictures = directory / "pictures"
    pictures.mkdir()
    for number in range(PICTURES):
        drawing(number).save(pictures / f"{number:02}.png")
    with redis_server() as redis, contextlib.closing(Installation(directory, redis)) as made:
        made.prepare(pictures)
    return directory


@pytest.fixture
def redis_options() -> tuple[str, ...]:
    """Options of the test's Redis; a test may give its own by parametrizing this."""
    return ()


@pytest.fixture
def redis(redis_options: tuple[str, ...]) -> Iterator[RedisUnderTest]:
    """A Redis of the test's own."""
    with redis_server(*redis_options) as server:
        yield server


@pytest.fixture
def installation(
    template: Path, tmp_path: Path, redis: RedisUnderTest, backend: str, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    """A data directory of the test's own, with a database and a Redis; nothing runs yet."""
    directory = tmp_path / "data"
    shutil.copytree(template, directory)
    environ = {} if backend == "sqlite" else {"DATABASE_URL": request.getfixturevalue("database_url")}
    with contextlib.closing(Installation(directory, redis, **environ)) as made:
        yield made


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate for ``tests.support.gated_worker``, closed."""
    return Gate(tmp_path / "gate")
