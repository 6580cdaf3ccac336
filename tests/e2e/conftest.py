"""One site for all tests of this folder, and the browsers that visit it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.databases import own_database
from tests.support.fixtures import gate  # noqa: F401
from tests.support.galleries import write_picture
from tests.support.installation import Installation
from tests.support.servers import redis_server
from tests.support.visitor import ARGUMENTS, INSTALL, Visitor, chromium

HERE = Path(__file__).parent
PICTURES = 60
SIZE = (320, 240)
MAX_UPLOAD_MB = 2

Visit = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, in which every visitor has a separate profile."""
    program = chromium()
    if program is None:
        pytest.skip(INSTALL)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gallery with `PICTURES` pictures."""
    root = tmp_path_factory.mktemp("gallery")
    for number in range(PICTURES):
        width, height = SIZE
        size = (width, height) if number % 3 else (height, width)
        write_picture(root / "ab"[number % 2] / f"picture-{number:02}.jpg", number, size)
    return root


@pytest.fixture(scope="session")
def site(
    browser: Browser, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The running site. It depends on `browser`, so that nothing is started without one."""
    directory = tmp_path_factory.mktemp("site")
    with redis_server() as redis, own_database() as database:
        site = Installation(directory, redis, MAX_UPLOAD_MB=str(MAX_UPLOAD_MB), **database)
        site.prepare(pictures)
        with site.serving():
            yield site


@pytest.fixture
def visit(browser: Browser, site: Installation) -> Iterator[Visit]:
    """Return a function that makes a new visitor, with options of ``Browser.new_context``."""
    visitors: list[Visitor] = []
    with contextlib.ExitStack() as contexts:

        def new_visitor(**options: Any) -> Visitor:
            visitors.append(Visitor(browser, site.url, **options))
            contexts.callback(visitors[-1].context.close)
            return visitors[-1]

        yield new_visitor
        assert [said for visitor in visitors for said in visitor.unexpected()] == []


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """A visitor without cookies."""
    return visit()


@pytest.fixture(scope="session")
def picture(pictures: Path) -> Path:
    """A picture of the gallery."""
    return pictures / "b" / "picture-07.jpg"


@pytest.fixture(scope="session")
def other_picture(pictures: Path) -> Path:
    """Another picture of the gallery."""
    return pictures / "a" / "picture-30.jpg"
