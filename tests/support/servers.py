"""Real servers for tests: each is a process of its own, ended when the test ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis

from scripts.redis_server import RedisServer


class RedisUnderTest(RedisServer):
    """A Redis that can be killed, frozen, emptied and brought back at the same address."""

    def kill(self) -> None:
        """SIGKILL: nothing more is written."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections are taken by the kernel, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def restart(self, *, empty: bool = False) -> None:
        """Start again at the same address, with what the append-only file holds or `empty`."""
        self.stop()
        if empty:
            shutil.rmtree(self.directory)
        self.start()

    def client(self) -> redis.Redis:
        """A new connection, to be closed by the caller."""
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
    with tempfile.TemporaryDirectory(prefix="vitrine-redis-") as directory:
        server = RedisUnderTest(Path(directory, "data"), Path(directory, "redis.sock"), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
