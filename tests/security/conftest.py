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
from tests.support.installation import template  # noqa: F401
from tests.support.servers import redis_server
from tests.support.site import Site


@pytest.fixture
def doors(app: Flask, settings: Settings, tmp_path: Path) -> Doors:
    return Doors(app, settings, tmp_path)


@pytest.fixture(scope="session")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:  # noqa: F811
    directory = tmp_path_factory.mktemp("site") / "data"
    shutil.copytree(template, directory)
    with redis_server() as redis, own_database() as database:
        site = Site(directory, redis, **database)
        migrate(site.settings)
        with site.running():
            yield site


@pytest.fixture
def visitor(site: Site) -> Visitor:
    """A visitor without cookies."""
    return Visitor(site)
