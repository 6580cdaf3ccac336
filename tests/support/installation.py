"""A whole installation in a temporary folder: database, small index, Redis, and real processes on them."""

from __future__ import annotations

import colorsys
import contextlib
import io
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade
from PIL import Image, ImageDraw

from app import create_app, queue
from app.database import Search, SearchKind, SearchResult, SearchStatus, Upload, utcnow
from app.extensions import db
from app.queue import QUEUE_NAME
from app.transactions import transaction
from app.uploads import storage
from config import BUNDLED_WEIGHTS, load_settings
from gallery.indexing import build
from model import load_encoder
from tests.support.servers import Process, RedisUnderTest, answers, free_port, process, redis_server
from tests.support.waiting import eventually
from worker.reconciliation import ENQUEUE_GRACE

PICTURES = 24
VISITOR = "0" * 64
ENDED = (SearchStatus.DONE, SearchStatus.FAILED)


def drawing(number: int) -> Image.Image:
    """One of `PICTURES` unlike pictures."""
    colours = [
        tuple(int(255 * part) for part in colorsys.hsv_to_rgb((number * 0.381966 + shift) % 1, 0.7, 0.9))
        for shift in (0.0, 0.4)
    ]
    image = Image.new("RGB", (160, 120), colours[0])
    draw = ImageDraw.Draw(image)
    box = (20 + number, 15, 90 + 2 * number, 105)
    (draw.ellipse, draw.rectangle, draw.chord)[number % 3](
        box, *((0, 250) if number % 3 == 2 else ()), fill=colours[1]
    )
    return image


def picture(number: int = 0) -> bytes:
    """A drawing as a PNG file."""
    file = io.BytesIO()
    drawing(number).save(file, "PNG")
    return file.getvalue()


def _upload(content: bytes) -> Upload:
    name = storage.save_original(io.BytesIO(content))
    facts = {"format": "PNG", "width": 160, "height": 120, "size": len(content)}
    return Upload(visitor=VISITOR, filename="p.png", stored_name=name, **facts)


class Installation:
    """One data directory, seen from the test, with what the web would do to it."""

    def __init__(self, directory: Path, redis: RedisUnderTest, **environ: str) -> None:
        self.directory, self.redis = directory, redis
        self.environ = {
            "DATA_DIR": str(directory),
            "REDIS_URL": redis.url,
            "DATABASE_URL": f"sqlite:///{directory / 'vitrine.db'}",
            "SECRET_KEY": "a key for tests only",
            "MODEL": "compact",
            "LOG_LEVEL": "INFO",
        } | environ
        self.settings = load_settings(self.environ)
        self.app = create_app(self.settings)

    def close(self) -> None:
        """Let go of database and Redis."""
        with self.app.app_context():
            db.engine.dispose()
            queue.connection().close()

    def submit(
        self, content: bytes | None = None, *, item: str | None = None, enqueue: bool = True
    ) -> uuid.UUID:
        """Store a picture, or name an item, commit a search for it and enqueue that, as the web does."""
        with self.app.app_context():
            with transaction() as session:
                search = Search(
                    visitor=VISITOR,
                    kind=SearchKind.UPLOAD if item is None else SearchKind.ITEM,
                    upload=_upload(content or picture()) if item is None else None,
                    query_item=item,
                    submission=uuid.uuid4().hex,
                    created=utcnow() - ENQUEUE_GRACE,  # the reconciler need not hold back
                )
                session.add(search)
                session.flush()
                search_id = search.id
            if enqueue:
                assert queue.enqueue(search_id)
            return search_id

    def again(self, search_id: uuid.UUID) -> uuid.UUID:
        """Commit another search of the same picture; enqueue nothing."""
        with self.app.app_context(), transaction() as session:
            first = session.get_one(Search, search_id)
            search = Search(
                visitor=VISITOR, kind=first.kind, upload_id=first.upload_id, submission=uuid.uuid4().hex
            )
            session.add(search)
            session.flush()
            return search.id

    def row(self, search_id: uuid.UUID) -> Search | None:
        """The search as it is now, detached."""
        with self.app.app_context():
            found = db.session.get(Search, search_id, populate_existing=True)
            if found is not None:
                db.session.expunge(found)
            return found

    def results(self, search_id: uuid.UUID) -> list[str]:
        """Names of the hits, best first."""
        with self.app.app_context():
            statement = sa.select(SearchResult.name).where(SearchResult.search_id == search_id)
            return list(db.session.scalars(statement.order_by(SearchResult.rank)))

    def ended(self, search_id: uuid.UUID, seconds: float = 20.0) -> Search:
        """Wait until the search is done or failed; return its row."""
        eventually(lambda: (row := self.row(search_id)) is not None and row.status in ENDED, seconds)
        row = self.row(search_id)
        assert row is not None
        return row

    @contextlib.contextmanager
    def worker(
        self, *command: str, workers: int = 1, ready: Callable[[], bool] | None = None, **environ: str
    ) -> Iterator[Process]:
        """Run the worker; enter when all its searchers are listening, or `ready` says so."""
        program = command or ("-m", "worker")
        settings = {**self.environ, "WORKERS": str(workers), **environ}
        listening = ready or (lambda: len(self.searchers()) >= max(workers, 1))
        log = self.directory / "worker.log"
        with process(*program, environ=settings, log=log, ready=listening) as running:
            yield running

    @contextlib.contextmanager
    def web(self, **environ: str) -> Iterator[str]:
        """Run the web server; yield its address once it answers."""
        port = free_port()
        settings, log = {**self.environ, "PORT": str(port), **environ}, self.directory / "web.log"
        address = f"http://127.0.0.1:{port}"
        with process("wsgi.py", environ=settings, log=log, ready=lambda: answers(address)):
            yield address

    def searchers(self) -> list[int]:
        """Process ids of the searchers that Redis knows of."""
        client = self.redis.client()
        try:
            keys = client.smembers(f"rq:workers:{QUEUE_NAME}")
            return [int(pid) for key in keys if (pid := client.hget(key, "pid"))]
        finally:
            client.close()


class Gate:
    """Where the searches of a gated worker wait for the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.environ = {"GATE": str(directory)}

    def waiting(self) -> set[int]:
        """Process ids that carry out a search and have come here, those that ended since included."""
        return {int(file.name.partition("-")[2]) for file in self.directory.glob("encoding-*")}

    def arrival(self, known: Collection[int] = ()) -> int:
        """Wait for a process that is not among `known`."""
        return eventually(lambda: self.waiting() - set(known)).pop()

    def let_pass(self, pid: int) -> None:
        """Let one process pass."""
        (self.directory / f"open-{pid}").touch()

    def open(self) -> None:
        """Let all pass, from now on."""
        (self.directory / "open").touch()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a migrated database and an index of `PICTURES` drawings, made once."""
    directory = tmp_path_factory.mktemp("template")
    pictures = directory / "pictures"
    pictures.mkdir()
    for number in range(PICTURES):
        drawing(number).save(pictures / f"{number:02}.png")
    settings = load_settings({"DATA_DIR": str(directory), "SECRET_KEY": "a key for tests only"})
    app = create_app(settings)
    with app.app_context():
        upgrade()
        db.engine.dispose()
    build(pictures, settings.index_dir, load_encoder(BUNDLED_WEIGHTS), thumbnails_dir=settings.thumbnails_dir)
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
