"""A service manager: restarts what ends a second later, as systemd or a container's restart policy does.

In one point it does less than systemd, which makes the campaign harder: processes that a dead service has
left behind run until they notice.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from scripts.redis_server import RedisStartError
from tests.support.servers import Process

TICK = 0.05
PAUSE = 1.0  # seconds from an end to the next start


class Managed(Protocol):
    """What a service manager runs."""

    name: str

    def start(self) -> None: ...
    def alive(self) -> bool: ...
    def stop(self) -> None: ...


class Service:
    """One of our Python programs; each start writes its own log file.

    Parameters
    ----------
    name : str
        Prefix of the log files' names.
    command : tuple of str
        Arguments of ``python``.
    environ : mapping
        Added to the environment.
    logs : Path
        A folder.
    """

    def __init__(self, name: str, command: tuple[str, ...], environ: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.processes: list[Process] = []
        self._command, self._environ, self._logs = command, environ, logs

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        return self.processes[-1].popen.pid

    def start(self) -> None:
        """Start it once more."""
        log = self._logs / f"{self.name}-{len(self.processes) + 1:03}.log"
        self.processes.append(Process([sys.executable, *self._command], self._environ, log))

    def alive(self) -> bool:
        """Whether the latest start runs."""
        return self.processes[-1].alive()

    def stop(self) -> None:
        """End it, with everything that earlier starts have left behind."""
        for process in reversed(self.processes):
            process.end()

    def leftovers(self) -> set[int]:
        """Processes that dead starts have left behind."""
        return {pid for process in self.processes if not process.alive() for pid in process.family()}


class ServiceManager:
    """Starts services, and restarts them until it is stopped."""

    def __init__(self, *services: Managed) -> None:
        self._services = services
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all, in order."""
        for service in self._services:
            service.start()
        self._threads = [threading.Thread(target=self._keep, args=(each,)) for each in self._services]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop all, the last one first."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        for service in reversed(self._services):
            service.stop()

    def _keep(self, service: Managed) -> None:
        while not self._ending.wait(TICK):
            if service.alive() or self._ending.wait(PAUSE):
                continue
            try:
                service.start()
            except (RedisStartError, OSError) as error:  # such as on a full disk: again in a second
                print(f"{service.name} did not start: {error}", file=sys.stderr)
