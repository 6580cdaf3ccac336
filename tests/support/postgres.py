"""A real PostgreSQL on a private socket, with its files in a temporary folder, for one test run."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from app.database import Base
from tests.support.waiting import eventually

INSTALL = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
OPTIONS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")


class PostgresUnderTest:
    """A server with one database."""

    def __init__(self, directory: Path) -> None:
        self.url = f"postgresql://postgres@/postgres?host={directory}"

    def answers(self) -> bool:
        """Return whether the server accepts connections."""
        with contextlib.suppress(psycopg.OperationalError):
            self._run("SELECT 1")
            return True
        return False

    def empty(self) -> None:
        """Delete every row except those that the migrations made; faster than a new database."""
        rows = Base.metadata.sorted_tables
        statements = [str(table.delete()) for table in reversed(rows) if table.name != "leases"]
        self._run("; ".join([*statements, "UPDATE leases SET holder = NULL, until = NULL"]))

    def cut(self) -> None:
        """End every connection."""
        cut(self.url)

    def _run(self, statement: str) -> None:
        with contextlib.closing(psycopg.connect(self.url, autocommit=True)) as connection:
            connection.execute(statement)


def cut(url: str) -> None:
    """Make the server end every connection except this one."""
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(others)


def installed() -> bool:
    """Return whether a PostgreSQL is installed."""
    return _program("initdb") is not None


@contextlib.contextmanager
def postgres_server(*options: str) -> Iterator[PostgresUnderTest]:
    """Run a server until the block ends; `options` (``"synchronous_commit=on"``) go before `OPTIONS`."""
    with tempfile.TemporaryDirectory(prefix="vitrine-pg-") as folder:
        directory = Path(folder)
        who = _user()
        if "user" in who:
            shutil.chown(directory, who["user"])
        data = directory / "data"
        initdb = [str(_program("initdb")), "-D", str(data), "-U", "postgres", "-A", "trust", "-N"]
        subprocess.run([*initdb, "-E", "UTF8"], check=True, capture_output=True, cwd="/", **who)
        settings = itertools.chain.from_iterable(("-c", option) for option in (*OPTIONS, *options))
        command = [str(_program("postgres")), "-D", str(data), "-k", folder, "-h", "", *settings]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **who)
        try:
            server = PostgresUnderTest(directory)
            eventually(server.answers)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()


def _program(name: str) -> Path | None:
    """Find the server's programs, which Debian keeps off the PATH."""
    found = shutil.which(name)
    if found:
        return Path(found)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return versions[-1] if versions else None


def _user() -> dict[str, Any]:
    """Return the user that PostgreSQL's package creates; the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_name, "group": account.pw_gid, "extra_groups": []}
