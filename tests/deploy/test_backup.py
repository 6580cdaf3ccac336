"""A backup made while the site is used opens elsewhere, with accounts, history and pictures."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.doors import Visitor
from tests.support.drawings import picture
from tests.support.installation import Installation
from tests.support.postgres import PostgresUnderTest, postgres_server
from tests.support.servers import ROOT, RedisUnderTest
from tests.support.waiting import eventually
from tests.support.web import PASSWORD

BACKUPS = 4


def flask(environ: Mapping[str, str], *arguments: object) -> str:
    """Run a command; return what it prints, with its exit status first."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.returncode} {done.stdout}{done.stderr}"


@contextlib.contextmanager
def searching(site: Installation) -> Iterator[None]:
    """Let two visitors search and delete what they searched until the block ends."""
    stop, errors = threading.Event(), list[BaseException]()

    def visit() -> None:
        try:
            visitor = Visitor(site)
            while not stop.is_set():
                search = visitor.send(picture(3), "p.png").json()
                eventually(lambda found=search: visitor.status(found)["status"] == "done" or stop.is_set())
                visitor.post(f"/history/{search['id']}/delete", {"csrf_token": visitor.token("/history")})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=visit) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not errors


def elsewhere(site: Installation, folder: Path) -> dict[str, str]:
    """The settings of another installation, which shares nothing but Redis."""
    return site.environ | {"DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder / 'vitrine.db'}"}


def named(folder: Path) -> set[str]:
    """The files that a database's rows name."""
    with contextlib.closing(sqlite3.connect(folder / "vitrine.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT stored_name, preview_name FROM uploads").fetchall()
    return {name for row in rows for name in row if name}


def test_what_is_backed_up_while_searches_are_written_opens_elsewhere(
    site: Installation, redis: RedisUnderTest, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.tar" for number in range(BACKUPS)]
    with site.serving():
        maria = Visitor(site)
        maria.signup()
        search = maria.searched(picture(5), "boat.png")
        seen = maria.preview(search)
        with searching(site):
            for number, file in enumerate(files):
                indexes = ("--with-indexes",) if number == 0 else ()
                assert flask(site.environ, "backup", *indexes, file).startswith("0 Wrote")
    for number, file in enumerate(files):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "is complete" in flask(site.environ, "backup", "--verify", file)
        environ = elsewhere(site, tmp_path / f"restored-{number}")
        restored = flask(environ, "restore", file)
        assert restored.startswith("0 Restored"), restored
        folder = Path(environ["DATA_DIR"])
        assert named(folder) == {path.name for path in (folder / "uploads").iterdir()}
        private = [path for path in folder.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert not (site.directory / "uploads" / ".backup" / "files").exists()

    with contextlib.closing(Installation(tmp_path / "restored-0", redis)) as other, other.serving():
        back = Visitor(other)
        form = {"csrf_token": back.token(), "username": "maria", "password": PASSWORD}
        assert back.post("/login", form).status_code == 303
        assert "boat.png" in back.get("/history").text
        assert back.preview(back.get(f"/searches/{search['id']}/status").json()) == seen
        again = back.searched(picture(5), "again.png")
        assert [hit["name"] for hit in again["results"]] == [hit["name"] for hit in search["results"]]
        assert back.get(again["results"][0]["thumb_url"]).status_code == 200


@pytest.mark.postgres
def test_postgresql_is_restored_to_a_new_database(
    template: Path, tmp_path: Path, redis: RedisUnderTest, postgres: PostgresUnderTest
) -> None:
    postgres.empty()
    (tmp_path / "data").mkdir()
    with contextlib.closing(Installation(tmp_path / "data", redis, DATABASE_URL=postgres.url)) as first:
        search_id = first.submit(picture(1), enqueue=False)
        assert flask(first.environ, "backup", tmp_path / "b.tar").startswith("0 Wrote")
    with postgres_server() as empty:
        environ = elsewhere(first, tmp_path / "other") | {"DATABASE_URL": empty.url}
        assert flask(environ, "restore", tmp_path / "b.tar").startswith("0 Restored")
        with contextlib.closing(Installation(tmp_path / "other", redis, DATABASE_URL=empty.url)) as other:
            assert other.row(search_id) is not None
            assert len(list((tmp_path / "other" / "uploads").iterdir())) == 1
        again = flask(environ | {"DATA_DIR": str(tmp_path / "third")}, "restore", tmp_path / "b.tar")
        assert "1 Error: the database is not empty" in again
    wrong = flask(elsewhere(first, tmp_path / "fourth"), "restore", tmp_path / "b.tar")
    assert "another kind of database" in wrong
    assert not list((tmp_path / "fourth").iterdir())


class TestRefusals:
    @pytest.fixture
    def file(self, site: Installation, tmp_path: Path) -> Path:
        site.submit(enqueue=False)
        assert flask(site.environ, "backup", tmp_path / "b.tar").startswith("0 Wrote")
        return tmp_path / "b.tar"

    def test_a_data_directory_that_holds_something_is_left_alone(
        self, site: Installation, file: Path
    ) -> None:
        before = sorted(site.directory.rglob("*"))
        assert "1 Error" in (said := flask(site.environ, "restore", file))
        assert "is not empty" in said
        assert sorted(site.directory.rglob("*")) == before

    def test_a_damaged_backup_leaves_nothing_behind(
        self, site: Installation, file: Path, tmp_path: Path
    ) -> None:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        environ = elsewhere(site, tmp_path / "other")
        for arguments in (("restore", file), ("backup", "--verify", file)):
            assert "is damaged" in flask(environ, *arguments)
        assert not list((tmp_path / "other").iterdir())

    def test_an_existing_file_is_not_overwritten(self, site: Installation, file: Path) -> None:
        before = file.read_bytes()
        assert "exists already" in flask(site.environ, "backup", file)
        assert file.read_bytes() == before

    def test_no_secret_is_in_the_backup(self, site: Installation, file: Path) -> None:
        (site.directory / "secret_key").write_text("a-key-on-the-disk")
        other = file.with_name("c.tar")
        environ = site.environ | {"SECRET_KEY": "a-key-in-the-environment"}
        assert flask(environ, "backup", other).startswith("0 Wrote")
        content = other.read_bytes()
        assert b"a-key-in-the-environment" not in content
        assert b"a-key-on-the-disk" not in content

    def test_a_picture_that_is_missing_is_named_and_the_rest_is_kept(
        self, site: Installation, file: Path
    ) -> None:
        (lost,) = (path for path in (site.directory / "uploads").iterdir() if path.is_file())
        lost.unlink()
        said = flask(site.environ, "backup", file.with_name("c.tar"))
        assert said.startswith("0 Wrote")
        assert f"{lost.name}: no such file" in said

    def test_only_one_backup_is_made_at_a_time(self, site: Installation, file: Path) -> None:
        import fcntl

        with (site.directory / "uploads" / ".backup" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert "Another process" in flask(site.environ, "backup", file.with_name("c.tar"))
