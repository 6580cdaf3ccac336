"""A whole installation: data directory, database, index, Redis, and real web and worker processes."""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from app import create_app, queue
from app.database import Search, SearchKind, SearchResult, SearchStatus, Upload, utcnow
from app.extensions import db
from app.queue import QUEUE_NAME
from app.transactions import transaction
from app.uploads import storage
from config import BUNDLED_MODEL, BUNDLED_WEIGHTS, load_settings
from gallery.indexing import build
from model import load_encoder
from tests.support.databases import KEY, migrate
from tests.support.drawings import picture
from tests.support.servers import Process, RedisUnderTest, answers, free_port, process
from tests.support.waiting import eventually
from worker.reconciliation import ENQUEUE_GRACE

VISITOR = "0" * 64
ENDED = (SearchStatus.DONE, SearchStatus.FAILED)


def _upload(content: bytes) -> Upload:
    name = storage.save_original(io.BytesIO(content))
    facts = {"format": "PNG", "width": 160, "height": 120, "size": len(content)}
    return Upload(visitor=VISITOR, filename="p.png", stored_name=name, **facts)


class Installation:
    """One data directory with a database, an index and a Redis, and the processes that run on them.

    The only class that starts Vitrine, for tests and campaigns alike.

    Parameters
    ----------
    directory : Path
        DATA_DIR.
    redis : RedisUnderTest
    **environ : str
        Settings beside the defaults for tests.

    Attributes
    ----------
    url : str
        Where `web` serves.
    app : flask.Flask
        The same installation in this process, to look at rows and to submit searches.
    """

    def __init__(self, directory: Path, redis: RedisUnderTest, **environ: str) -> None:
        self.directory, self.redis = directory, redis
        self.environ = {
            "DATA_DIR": str(directory),
            "REDIS_URL": redis.url,
            "DATABASE_URL": f"sqlite:///{directory / 'vitrine.db'}",
            "SECRET_KEY": KEY,
            "MODEL": BUNDLED_MODEL,
            "LOG_LEVEL": "INFO",
            "VISITOR_SEARCHES_PER_MINUTE": "100000",  # every visitor of a test has the same address
            "PORT": str(free_port()),
        } | environ
        self.settings = load_settings(self.environ)
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.app = create_app(self.settings)
        self._serving_worker = contextlib.ExitStack()

    def prepare(self, gallery: Path) -> None:
        """Migrate the database and index the pictures of `gallery` with the bundled model."""
        migrate(self.settings)
        build(
            gallery,
            self.settings.index_dir,
            load_encoder(BUNDLED_WEIGHTS),
            thumbnails_dir=self.settings.thumbnails_dir,
        )

    def close(self) -> None:
        """Close the connections to database and Redis."""
        with self.app.app_context():
            db.engine.dispose()
            queue.connection().close()

    def submit(
        self, content: bytes | None = None, *, item: str | None = None, enqueue: bool = True
    ) -> uuid.UUID:
        """Store a picture or name an item, commit a search for it and enqueue it, as the web process does."""
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
        """Commit another search with the same picture, without enqueueing it."""
        with self.app.app_context(), transaction() as session:
            first = session.get_one(Search, search_id)
            search = Search(
                visitor=VISITOR, kind=first.kind, upload_id=first.upload_id, submission=uuid.uuid4().hex
            )
            session.add(search)
            session.flush()
            return search.id

    def row(self, search_id: uuid.UUID) -> Search | None:
        """Return the search as it is now, detached."""
        with self.app.app_context():
            found = db.session.get(Search, search_id, populate_existing=True)
            if found is not None:
                db.session.expunge(found)
            return found

    def results(self, search_id: uuid.UUID) -> list[str]:
        """Return the names of the hits, best first."""
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
    def web(self) -> Iterator[Process]:
        """Run the web server at `url`; enter once it answers."""
        log = self.directory / "web.log"
        with process("wsgi.py", environ=self.environ, log=log, ready=lambda: answers(self.url)) as running:
            yield running

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Run the web server and a worker until the block ends."""
        with self.web(), self._serving_worker:
            self._serving_worker.enter_context(self.worker())
            yield

    @contextlib.contextmanager
    def without_worker(self) -> Iterator[None]:
        """Within `serving`, let searches wait until the block ends."""
        self._serving_worker.close()
        try:
            yield
        finally:
            self._serving_worker.enter_context(self.worker())

    def searchers(self) -> list[int]:
        """Return the process ids of the searchers registered in Redis."""
        client = self.redis.client()
        try:
            keys = client.smembers(f"rq:workers:{QUEUE_NAME}")
            return [int(pid) for key in keys if (pid := client.hget(key, "pid"))]
        finally:
            client.close()
