"""An application on a fresh database, for every package that needs one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from jinja2 import BytecodeCache, FileSystemBytecodeCache
from sqlalchemy import event

from app import create_app
from app.extensions import db
from app.transactions import WRITING
from config import Settings, load_settings
from tests.support.databases import BACKEND, KEY, migrate
from tests.support.postgres import INSTALL, PostgresUnderTest, installed, postgres_server
from tests.support.web import Browser


@pytest.fixture
def backend() -> str:
    """``sqlite`` or ``postgresql``; tests marked with `tests.support.web.BOTH` run on each."""
    return BACKEND


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresUnderTest]:
    """A server with a migrated database."""
    if not installed():
        pytest.skip(INSTALL)
    with postgres_server() as server:
        directory = tmp_path_factory.mktemp("migrated-postgres")
        environ = {"DATA_DIR": str(directory), "SECRET_KEY": KEY, "DATABASE_URL": server.url}
        migrate(load_settings(environ))
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("migrated")
    migrate(load_settings({"DATA_DIR": str(directory), "SECRET_KEY": KEY}))
    return directory / "vitrine.db"


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A migrated database without rows."""
    if backend == "sqlite":
        copy = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "test.db")
        return f"sqlite:///{copy}"
    server: PostgresUnderTest = request.getfixturevalue("postgres")
    server.empty()
    return server.url


@pytest.fixture
def redis_url(tmp_path: Path) -> str:
    """An address without a Redis, unless a test overrides it: searches wait."""
    return f"unix://{tmp_path}/no-redis.sock"


@pytest.fixture
def environ() -> dict[str, str]:
    """Settings of one test; override or parametrise it."""
    return {}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str, environ: dict[str, str]) -> Settings:
    fixed = {
        "DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": KEY,
        "MODEL": "tiny",
    }
    return load_settings(fixed | environ)


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> BytecodeCache:
    """Compiling templates for each application takes most of a short test's time."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(settings: Settings, compiled_templates: BytecodeCache) -> Iterator[Flask]:
    application = create_app(settings)
    application.jinja_env.bytecode_cache = compiled_templates
    with application.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", _writes_in_transactions)
    yield application
    engine.dispose()


@pytest.fixture
def client(app: Flask) -> Browser:
    """A browser without cookies."""
    return Browser(app)


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """An application context, for what is called directly and not through pages."""
    with app.app_context():
        yield app


@pytest.fixture
def maria(client: Browser) -> Browser:
    """A browser that is logged in to a new account."""
    client.signup()
    assert client.logged_in()
    return client


def _writes_in_transactions(connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    writes = statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
    assert not writes or connection.get_execution_options().get(WRITING), (
        "written outside `transaction`, where SQLite may refuse"
    )
