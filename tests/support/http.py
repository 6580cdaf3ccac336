"""A real web server on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock


@dataclass
class Page:
    """The response at one path.

    `statuses` and `breaks` are consumed, one per request: the status of the first responses, and the bytes
    after which they are cut off. `claimed` replaces the true `Content-Length`; -1 sends none.
    """

    body: bytes = b""
    media_type: str = "application/octet-stream"
    etag: str = ""
    ranges: bool = True
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    claimed: int | None = None
    drip: float = 0.0
    silent: bool = False


@dataclass
class Asked:
    """A request as it was received."""

    path: str
    headers: dict[str, str]


class Site:
    """The pages of the server, and the requests that it has received."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.busy = 0
        self.busiest = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def put(self, path: str, page: Page | bytes) -> str:
        """Answer `path` with `page` from now on, and return the address."""
        self.pages[path] = page if isinstance(page, Page) else Page(page)
        return self.address + path

    def redirect(self, path: str, location: str) -> str:
        """Redirect `path` to `location`, and return the address."""
        return self.put(path, Page(b"moved", status=302, headers={"Location": location}))

    def ranges_asked(self) -> list[str]:
        """Return the Range header of each request, empty if there was none."""
        return [asked.headers.get("range", "") for asked in self.asked]


@contextlib.contextmanager
def serving() -> Iterator[Site]:
    """Run a site for the duration of the block; proxies from the environment are not used for it."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            with mock.patch.dict(os.environ, {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}):
                yield server.site
        finally:
            server.site.closing.set()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.site = Site(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        site = self.server.site
        with site.lock:
            site.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
            site.busy += 1
            site.busiest = max(site.busiest, site.busy)
        try:
            self._answer(site.pages.get(self.path, Page(b"nothing here", status=404)))
        finally:
            with site.lock:
                site.busy -= 1

    def _answer(self, page: Page) -> None:
        if page.silent:
            self.server.site.closing.wait(60)
            self._cut()
            return
        status = page.statuses.pop(0) if page.statuses else page.status
        start = self._start(page) if status == 200 else 0
        body = page.body[start:] if status in (200, page.status) else b""
        headers = {"Content-Type": page.media_type, **page.headers}
        if page.etag:
            headers["ETag"] = page.etag
        if page.claimed is not None:
            self.close_connection = True
        if page.claimed != -1:
            headers["Content-Length"] = str(len(body) if page.claimed is None else page.claimed - start)
        if start >= len(page.body) > 0:
            status = 416
            headers |= {"Content-Range": f"bytes */{len(page.body)}", "Content-Length": "0"}
        elif start:
            status = 206
            whole = page.claimed or len(page.body)
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        self._head(status, headers)
        self._send(body, page)

    def _start(self, page: Page) -> int:
        """Return the offset at which the response begins."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if not (asked and page.ranges) or (condition and condition != page.etag):
            return 0
        return int(asked[1])

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes, page: Page) -> None:
        cut = page.breaks.pop(0) if page.breaks else None
        if not page.drip:
            self.wfile.write(body[:cut])
        for at in range(len(body[:cut]) if page.drip else 0):
            self.wfile.write(body[at : at + 1])
            time.sleep(page.drip)
        if cut is not None:
            self.wfile.flush()
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, *args: object) -> None:
        """Log nothing."""
