"""One real site for all tests here: web process, worker, Redis, and the index of a small gallery."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from config import Settings
from tests.support.databases import migrate, own_database
from tests.support.doors import Doors, Visitor
from tests.support.fixtures import template  # noqa: F401
from tests.support.installation import Installation
from tests.support.servers import redis_server


@pytest.fixture
def doors(app: Flask, settings: Settings, tmp_path: Path) -> Doors:
    return Doors(app, settings, tmp_path)


@pytest.fixture(scope="session")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:  # noqa: F811
    directory = tmp_path_factory.mktemp("site") / "data"
    shutil.copytree(template, directory)
    with redis_server() as redis, own_database() as database:
        site = Installation(directory, redis, **database)
        migrate(site.settings)
        with site.serving():
            yield site


@pytest.fixture
def visitor(site: Installation) -> Visitor:
    """A visitor without cookies."""
    return Visitor(site)
