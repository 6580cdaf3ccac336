"""SQLite with several writers, and old versions of SQLite (rows 28 and 29)."""

from __future__ import annotations

import multiprocessing

import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.database import Throttle
from app.extensions import db
from app.transactions import transaction
from config import Settings, load_settings
from tests.support.installation import Installation


def _write_often(environ: dict[str, str], number: int, writes: int) -> None:
    """Read and then write, as requests do: the order that fails unless the lock is taken first."""
    application = create_app(load_settings(environ))
    with application.app_context():
        for turn in range(writes):
            assert db.session.scalar(sa.select(sa.func.count()).select_from(Throttle)) is not None
            with transaction() as session:
                session.scalar(sa.select(sa.func.count()).select_from(Throttle))
                session.add(Throttle(bucket=f"{number}-{turn}", empty_at=0.0))
        db.engine.dispose()


def test_row_28_four_processes_write_800_times_and_none_is_locked_out(app: Flask, settings: Settings) -> None:
    environ = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key,
    }
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_write_often, args=(environ, number, 200)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0] * 4
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Throttle)) == 800


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("version", "warned"), [((3, 51, 2), True), ((3, 51, 3), False), ((3, 53, 0), False)]
)
def test_row_29_doctor_warns_of_an_old_sqlite(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], warned: bool
) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", version)
    told = installation.app.test_cli_runner().invoke(args=["doctor"]).output
    assert ("WAL-reset bug" in told) is warned
