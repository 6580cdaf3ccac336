"""Real servers for tests, each a separate process that ends with the test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import redis

from scripts.redis_server import RedisServer, socket_directory
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


class RedisUnderTest(RedisServer):
    """A Redis that can be killed, frozen, emptied and restarted at the same address."""

    def kill(self) -> None:
        """SIGKILL: nothing more is written."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: the kernel accepts connections, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def restart(self, *, empty: bool = False) -> None:
        """Start again at the same address, with the append-only file's content or `empty`."""
        self.stop()
        if empty:
            shutil.rmtree(self.directory)
        self.start()

    def client(self) -> redis.Redis:
        """Return a new connection; the caller closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=5.0)

    def stop(self) -> None:
        if self.alive():
            self.resume()
        super().stop()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[RedisUnderTest]:
    """A real redis-server with command-line `options` (``"--maxmemory", "3mb"``); `.url` is its address."""
    with socket_directory() as directory:
        server = RedisUnderTest(directory / "data", directory / "redis.sock", *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(address: str) -> bool:
    """Return whether a Vitrine web server answers there."""
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=2.0) as response:  # noqa: S310 - http only
            return response.status == 200
    except OSError:
        return False


class Process:
    """One of our programs in a separate session, its output in a file."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "error", **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Return whether the program itself runs."""
        return self.popen.poll() is None

    def output(self) -> str:
        """Return its output so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, not to its children."""
        self.popen.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """Wait for it to end; return the exit status."""
        return self.popen.wait(seconds)

    def family(self) -> set[int]:
        """Return the process ids of the program and of everything it has started, orphans included."""
        return {pid for pid, _, session in _processes() if session == self.popen.pid}

    def descendants(self) -> set[int]:
        """Return the process ids of its descendants in any session, as long as no parent between has died."""
        parents = {pid: parent for pid, parent, _ in _processes()}
        found = {self.popen.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.popen.pid}

    def end(self) -> None:
        """SIGTERM, then SIGKILL for what is left."""
        if self.alive():
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(10.0)
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()


@contextlib.contextmanager
def process(
    *command: str, environ: Mapping[str, str], log: Path, ready: Callable[[], object] = lambda: True
) -> Iterator[Process]:
    """Run ``python *command`` until the block ends; enter the block when `ready` answers true."""
    running = Process([sys.executable, *command], environ, log)
    try:
        try:
            eventually(lambda: ready() or not running.alive(), 60.0)
        except AssertionError:
            raise AssertionError(f"not ready:\n{running.output()}") from None
        yield running
    finally:
        running.end()


def alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    return any(pid == each for each, _, _ in _processes())


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield process id, parent and session of every process that is not a zombie (Linux)."""
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, parent, _, session = (directory / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                yield int(directory.name), int(parent), int(session)
