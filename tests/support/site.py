"""A complete site on its own port: web process, worker and Redis, for browsers and HTTP clients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.support.installation import Installation
from tests.support.servers import RedisUnderTest, free_port, process

MAX_UPLOAD_MB = 2


class Site(Installation):
    """An installation with a web process; `url` is its address."""

    def __init__(self, directory: Path, redis: RedisUnderTest, **environ: str) -> None:
        super().__init__(directory, redis, **environ)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environ |= {"PORT": str(port), "MAX_UPLOAD_MB": str(MAX_UPLOAD_MB)}
        self._worker = contextlib.ExitStack()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the web process and the worker for the duration of the block."""
        log = self.directory / "web.log"
        with process("wsgi.py", environ=self.environ, log=log, ready=self._answers), self._worker:
            self._worker.enter_context(self.worker())
            yield

    @contextlib.contextmanager
    def without_worker(self) -> Iterator[None]:
        """Stop the worker for the duration of the block, so that searches wait."""
        self._worker.close()
        try:
            yield
        finally:
            self._worker.enter_context(self.worker())

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5.0).ok
        except requests.ConnectionError:
            return False
