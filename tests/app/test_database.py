"""Migrations, transactions, and several writers at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask, Response
from flask_migrate import downgrade, upgrade

from app import create_app, transactions
from app.database import Base, Owner, User
from app.extensions import db
from app.transactions import transaction
from config import ROOT, load_settings
from tests.support.databases import KEY, migrate
from tests.support.postgres import PostgresUnderTest
from tests.support.web import BOTH, Browser


def person(name: str) -> User:
    return User(name=name, name_key=name, password_hash="x")


@BOTH
def test_migrations_make_the_tables_that_the_models_describe(context: Flask) -> None:
    with db.engine.connect() as connection:
        migration = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(migration, Base.metadata) == []


@BOTH
def test_migrations_can_be_reverted_and_applied_again(context: Flask) -> None:
    downgrade(revision="base")
    assert set(sa.inspect(db.engine).get_table_names()) == {"alembic_version"}
    upgrade()
    assert "searches" in sa.inspect(db.engine).get_table_names()


def _migrate(directory: str) -> None:
    migrate(load_settings({"DATA_DIR": directory, "SECRET_KEY": KEY}))


ODD = "50%/%41 b?mode=memory#c/\u00e9\u4e2d@:&="


def test_the_database_lies_in_the_data_directory_whatever_its_name(tmp_path: Path) -> None:
    app = create_app(load_settings({"DATA_DIR": str(tmp_path / ODD)}))
    with app.app_context():
        upgrade()
        db.engine.dispose()
    assert (tmp_path / ODD / "vitrine.db").stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == ["50%"]


def test_migrations_are_found_in_a_checkout_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / ODD / "migrations")
    app = create_app(load_settings({"DATA_DIR": str(tmp_path / "data")}))
    monkeypatch.setattr(app.extensions["migrate"].migrate, "directory", str(tmp_path / ODD / "migrations"))
    with app.app_context():
        upgrade()
        assert "users" in sa.inspect(db.engine).get_table_names()
        db.engine.dispose()


@pytest.mark.slow
def test_two_processes_that_migrate_at_once_both_succeed(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_migrate, args=(str(tmp_path),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    with sqlite3.connect(tmp_path / "vitrine.db") as connection:
        assert connection.execute("SELECT count(*) FROM leases").fetchone() == (2,)
    connection.close()


def test_opening_a_new_database_waits_for_a_process_that_has_locked_it(tmp_path: Path) -> None:
    file = tmp_path / "vitrine.db"
    with (
        contextlib.closing(sqlite3.connect(file, check_same_thread=False)) as other,
        contextlib.closing(sqlite3.connect(file, timeout=0)) as ours,
    ):
        other.execute("BEGIN EXCLUSIVE")
        letting_go = threading.Timer(0.3, other.rollback)
        letting_go.start()
        transactions._prepare_sqlite(ours, None)
        letting_go.join()
        assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@BOTH
def test_times_are_returned_as_utc_whatever_their_zone(context: Flask) -> None:
    moment = datetime(2026, 5, 4, 3, 2, 1, 987654, timezone(timedelta(hours=8)))
    with transaction() as session:
        session.add(person("a"))
        session.execute(sa.update(User).values(created=moment))
    stored = db.session.scalars(sa.select(User.created)).one()
    assert stored == moment
    assert stored.utcoffset() == UTC.utcoffset(None)


def test_a_time_without_zone_is_refused(context: Flask) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive"), transaction() as session:
        session.execute(sa.update(User).values(created=datetime(2026, 5, 4)))


def test_relations_are_resolved_before_the_first_query() -> None:
    """Or each process that is forked for a search would resolve them anew."""
    ask = "import app.database as d; print(d.Search.__mapper__.configured, d.User.__mapper__.configured)"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


@BOTH
def test_an_error_inside_a_transaction_undoes_it(context: Flask) -> None:
    def write_and_stumble() -> None:
        with transaction() as session:
            session.add(person("a"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        write_and_stumble()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(User)) == 0


def test_transactions_do_not_nest(context: Flask) -> None:
    with transaction() as session:
        session.add(person("a"))
        with pytest.raises(RuntimeError, match="nest"), transaction():
            pass
    assert db.session.scalar(sa.select(sa.func.count()).select_from(User)) == 1


@pytest.mark.parametrize("backend", ["sqlite"])
def test_sqlite_keeps_foreign_keys_and_writes_ahead(context: Flask) -> None:
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.parametrize("backend", ["sqlite"])  # PostgreSQL itself tells the key; no message is ever logged
def test_an_error_names_no_values(context: Flask) -> None:
    with pytest.raises(sa.exc.IntegrityError) as caught, transaction() as session:
        session.add_all([person("cleartext"), person("cleartext")])
    assert "cleartext" not in str(caught.value)


def test_a_reader_is_not_kept_waiting_by_a_writer(context: Flask) -> None:
    seen = []

    def read() -> None:
        with context.app_context():
            seen.append(db.session.scalar(sa.select(sa.func.count()).select_from(User)))

    with transaction() as session:
        session.add(person("a"))
        session.flush()
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(5)
        assert seen == [0]


@pytest.mark.postgres
@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_lost_connection_does_not_break_a_finished_response(
    app: Flask, postgres: PostgresUnderTest
) -> None:
    @app.after_request
    def cut(response: Response) -> Response:
        postgres.cut()
        return response

    browser = Browser(app)
    assert [browser.get("/").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("both", [Owner, lambda: Owner(1, "x")])
def test_an_owner_is_one_account_or_one_visitor(both: type[Owner]) -> None:
    with pytest.raises(ValueError, match="owner"):
        both()
