"""Requests that are too large, too many or too slow, sent over raw sockets to a real server (row 37)."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from app import create_app
from app.accounts import service, tokens
from app.extensions import db
from config import load_settings
from tests.support.databases import KEY
from tests.support.servers import Process, answers, free_port, process
from tests.support.waiting import eventually
from tests.support.web import PASSWORD, photo

LIMIT = 1 << 20  # bytes of a picture, as the server is told
CLIENTS = 50
# The real server with a shorter timeout, so that a test need not wait for half a minute.
IMPATIENT = (
    "import sys; from app import server, slow_clients; slow_clients.PATIENCE = 1.0; sys.exit(server.main())"
)


class Server:
    """The web process, the token of an account, and raw connections."""

    def __init__(self, process: Process, port: int, token: str, uploads: Path) -> None:
        self.process, self.port, self.uploads = process, port, uploads
        self.searches = 0
        self.address = f"http://127.0.0.1:{port}"
        self._bearer = {"Authorization": f"Bearer {token}"}

    def head(self, *lines: str, method: str = "POST", path: str = "/api/v1/searches") -> bytes:
        """Return the head of an authorized request, including `lines`."""
        named = [f"{name}: {value}" for name, value in self._bearer.items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *named, *lines, "", ""]).encode()

    @contextlib.contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            yield connection

    def search(self) -> int:
        """Make a correct search and return its status."""
        url = f"{self.address}/api/v1/searches"
        self.searches += 1
        return requests.post(url, data=photo(), headers=self._bearer, timeout=10).status_code

    def stored(self) -> int:
        """Return the number of stored files, complete or not."""
        return len(list(self.uploads.glob("*")))


def status(connection: socket.socket) -> int | None:
    """Return the status of the response, or None if the connection was closed."""
    with contextlib.suppress(ConnectionError):
        line = connection.makefile("rb").readline()
        return int(line.split()[1]) if line else None
    return None


@pytest.fixture(scope="module")
def server(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory, port = tmp_path_factory.mktemp("server"), free_port()
    environ = {
        "DATA_DIR": str(directory),
        "DATABASE_URL": f"sqlite:///{shutil.copy(migrated_file, directory / 'test.db')}",
        "REDIS_URL": f"unix://{directory}/no-redis.sock",
        "SECRET_KEY": KEY,
        "MAX_UPLOAD_MB": str(LIMIT >> 20),
        "MAX_PENDING_PER_OWNER": "1000",
        "VISITOR_SEARCHES_PER_MINUTE": "1000",
        "PORT": str(port),
        # Werkzeug leaves the files of a form that it refuses to the garbage collector.
        "PYTHONWARNINGS": "error,ignore::ResourceWarning",
    }
    app = create_app(load_settings(environ))
    with app.app_context():
        token = tokens.create(service.create("maria", PASSWORD).id, "program")
        db.engine.dispose()
    ready = lambda: answers(f"http://127.0.0.1:{port}")  # noqa: E731
    with process("-c", IMPATIENT, environ=environ, log=directory / "web.log", ready=ready) as running:
        yield Server(running, port, token, directory / "uploads")
        assert running.alive()
        assert "Traceback" not in running.output()


@pytest.fixture(autouse=True)
def _others_are_served_as_before(server: Server) -> Iterator[None]:
    stored = server.stored()
    searches = server.searches
    yield
    assert server.search() == 201
    assert server.stored() - stored == server.searches - searches


def test_row_37_a_length_that_is_too_large_is_refused_before_the_body_arrives(server: Server) -> None:
    for length in (LIMIT * 2, 1 << 40, 10**30):
        with server.connection() as connection:
            connection.sendall(server.head(f"Content-Length: {length}"))
            assert status(connection) == 413


@pytest.mark.parametrize("path", ["/api/v1/searches", "/searches", "/login", "/nowhere"])
def test_row_37_a_chunked_body_is_cut_off_at_the_limit(server: Server, path: str) -> None:
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with server.connection() as connection:
        connection.sendall(server.head("Transfer-Encoding: chunked", path=path))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 64 * LIMIT:
                connection.sendall(chunk)
                sent += len(chunk)
        assert sent < 64 * LIMIT
        assert status(connection) in (413, None)


@pytest.mark.parametrize(
    "garbage", [b"zz\r\n", b"-1\r\n", b"ffffffffffffffff\r\n", b"1;" + b"x" * 10_000, b"\0"]
)
def test_row_37_chunks_with_invalid_lengths_are_refused(server: Server, garbage: bytes) -> None:
    with server.connection() as connection:
        connection.sendall(server.head("Transfer-Encoding: chunked") + garbage)
        connection.shutdown(socket.SHUT_WR)
        assert status(connection) in (400, 413, None)


@pytest.mark.parametrize("parts", [33, 10_000])
def test_row_37_a_form_with_too_many_parts_is_refused(server: Server, parts: int) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="p.jpg"\r\n\r\n\r\n'
    body = part * parts + b"--x--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x"
    with server.connection() as connection:
        connection.sendall(server.head(kind, f"Content-Length: {len(body)}") + body)
        assert status(connection) == 413


def test_row_37_endless_headers_are_refused(server: Server) -> None:
    with server.connection() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(server.head(*(f"X-{number}: {'x' * 1000}" for number in range(400))))
        assert status(connection) in (431, None)


@pytest.mark.parametrize("half", ["body", "headers", "nothing"])
def test_row_37_fifty_stalled_clients_do_not_block_others(server: Server, half: str) -> None:
    head = server.head(f"Content-Length: {LIMIT // 2}")
    sent = {"body": head + b"\xff\xd8\xff", "headers": head[:40], "nothing": b""}[half]
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(server.connection()).sendall(sent)
        with ThreadPoolExecutor(8) as pool:
            pages = [pool.submit(requests.get, server.address, timeout=10) for _ in range(20)]
            assert {page.result().status_code for page in pages} == {200}
        assert server.search() == 201


def test_row_37_fifty_clients_that_trickle_bytes_are_cut_off(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connection()) for _ in range(CLIENTS)]
        for connection in slow:
            connection.sendall(server.head(f"Content-Length: {LIMIT // 2}"))
            connection.setblocking(False)

        def drip() -> bool:
            slow[:] = [connection for connection in slow if still_open(connection)]
            assert server.search() == 201
            return not slow

        eventually(drip, pause=0.2)


def still_open(connection: socket.socket) -> bool:
    """Send one more byte and return whether the connection is still open."""
    try:
        connection.send(b"x")
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_row_37_a_slow_but_steady_client_is_served(server: Server) -> None:
    body = photo() + bytes(200_000)
    with server.connection() as connection:
        connection.sendall(server.head(f"Content-Length: {len(body)}"))
        for start in range(0, len(body), 8192):
            connection.sendall(body[start : start + 8192])
            eventually(lambda: requests.get(f"{server.address}/healthz", timeout=10).ok)
        assert status(connection) == 201
    server.searches += 1
