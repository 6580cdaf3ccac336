"""A real installation under a keeper's eye: web process, worker, Redis, database, on two small disks.

Needs a mount namespace of its own: `tests.campaigns.chaos.run` enters one.
"""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from app import create_app
from app.accounts import service as accounts
from app.accounts import tokens
from app.database import RECONCILER, Lease
from app.extensions import db
from config import BUNDLED_MODEL, ROOT, load_settings
from tests.campaigns.chaos.keeper import Keeper, Service
from tests.support.databases import migrate
from tests.support.galleries import make_gallery, picture
from tests.support.servers import RedisUnderTest, answers, free_port
from tests.support.waiting import eventually
from tests.support.web import PASSWORD

GALLERY = 60
QUERY_SIZES = ((320, 240), (240, 320), (480, 360))
DATA_DISK, UPLOADS_DISK = "256m", "96m"
WORKERS = 2
START_SECONDS = 60.0
HEADER, COMMENT = 8 + 25, b"tEXtComment\0"  # of a PNG: signature and IHDR; the chunk after them

T = TypeVar("T")


class Searching(NamedTuple):
    """A searcher and the process that it has forked for the search at hand."""

    searcher: int
    child: int


class RedisService(RedisUnderTest):
    """The Redis that a keeper looks after."""

    name = "redis"

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        return self.process.pid if self.process else 0


class Stage:
    """The installation.

    Parameters
    ----------
    directory : Path
        Where everything lies; the logs in ``logs``, what the installation writes on the small disks.
    sockets : Path
        A private folder with a short name.
    database_url : str
        Empty for SQLite.
    """

    def __init__(self, directory: Path, sockets: Path, database_url: str = "") -> None:
        self.data, self.uploads, self.logs = (
            directory / "data",
            directory / "data/uploads",
            directory / "logs",
        )
        self.gallery = directory / "gallery"
        self.logs.mkdir(parents=True)
        for disk, size in ((self.data, DATA_DISK), (self.uploads, UPLOADS_DISK)):
            disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk], check=True)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.redis = RedisService(self.data / "redis", sockets / "redis.sock")
        self.environ = {
            "DATA_DIR": str(self.data),
            "DATABASE_URL": database_url or f"sqlite:///{self.data / 'vitrine.db'}",
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": "only for a campaign of faults",
            "MODEL": BUNDLED_MODEL,
            "LOG_LEVEL": "INFO",
            "PORT": str(port),
            "WORKERS": str(WORKERS),
        }
        self.settings = load_settings(self.environ)
        migrate(self.settings)
        make_gallery(self.gallery, GALLERY)
        self.index()
        self.app = create_app(self.settings)
        self.web = Service("web", ("wsgi.py",), self.environ, self.logs)
        self.worker = Service("worker", ("-m", "worker"), self.environ, self.logs)
        self._keeper = Keeper(self.redis, self.web, self.worker)

    def start(self) -> None:
        """Start everything, and wait until it serves."""
        self._keeper.start()
        eventually(lambda: answers(self.address), START_SECONDS)
        eventually(lambda: len(self.searchers()) == WORKERS, START_SECONDS)

    def stop(self) -> None:
        """End everything."""
        self._keeper.stop()
        with self.app.app_context():
            db.engine.dispose()

    def index(self) -> bool:
        """Index the gallery, as its owner would after a look at the pictures; False where that failed."""
        (self.gallery / "a" / "000.jpg").touch()  # a new time: a new generation, with the same pictures
        command = [sys.executable, "-m", "flask", "gallery", "index", str(self.gallery)]
        environ = {**os.environ, **self.environ}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        with (self.logs / "index.txt").open("a") as log:
            log.write(done.stdout + done.stderr)
        return done.returncode == 0

    def token_of(self, name: str) -> str:
        """Make an account, and a token for its programs."""
        with self.app.app_context():
            return tokens.create(accounts.create(name, PASSWORD).id, "campaign")

    def reconciler(self) -> int:
        """The reconciler's process id, as its lease says; 0 where there is none or nobody can say now."""
        statement = sa.select(Lease.holder).where(Lease.name == RECONCILER)
        with self.app.app_context():
            try:
                holder = db.session.scalar(statement) or ":0"
            except sa.exc.OperationalError:
                return 0
        pid = int(holder.rpartition(":")[2])
        return pid if pid in children(self.worker.pid) else 0

    def searchers(self) -> list[int]:
        """The searchers' process ids: the supervisor's children that are not the reconciler."""
        reconciler = self.reconciler()
        return [pid for pid in children(self.worker.pid) if pid != reconciler] if reconciler else []

    def searching(self) -> list[Searching]:
        """Who is in the middle of a search: only searchers have children."""
        return [Searching(pid, child) for pid in children(self.worker.pid) for child in children(pid)]


def children(pid: int) -> list[int]:
    """Process ids of what the main thread of a process has forked; none where it has gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def queries(count: int) -> list[bytes]:
    """Pictures to search with, PNG files, none of them in the gallery."""
    made = []
    for number in range(count):
        file = io.BytesIO()
        picture(10_000 + number, QUERY_SIZES[number % len(QUERY_SIZES)]).save(file, "PNG")
        made.append(file.getvalue())
    return made


def signed(png: bytes, text: str) -> bytes:
    """The same picture with `text` in a chunk of its own, so that a file left behind says whose it was."""
    body = COMMENT + text.encode() + b"\n"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:HEADER] + chunk + png[HEADER:]


def signature(file: bytes) -> str:
    """What `signed` has written; empty where the file is another or breaks off before it."""
    found = re.match(COMMENT + rb"([\w-]+)\n", file[HEADER + 4 :])
    return found[1].decode() if found else ""


def wait_for(ask: Callable[[], T], seconds: float) -> T | None:
    """Return the first true answer; None where there is none in time."""
    try:
        return eventually(ask, seconds, pause=0.005)
    except AssertionError:
        return None
