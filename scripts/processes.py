"""The Procfile's processes: started together, their output passed on, ended together.

Written here rather than left to a process manager, because a search may take as long as `JOB_TIMEOUT`: Honcho
kills five seconds after the first process has ended, and ignores a second Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

_output = threading.Lock()


def read_procfile(path: Path) -> dict[str, list[str]]:
    """Return each process's command by its name; ``python`` is the one that runs this."""
    commands = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, found, command = line.partition(":")
        if found and not name.startswith("#"):
            program, *arguments = shlex.split(command)
            commands[name.strip()] = [sys.executable if program == "python" else program, *arguments]
    return commands


class Processes:
    """Processes that run together.

    Parameters
    ----------
    environ : mapping
        Their environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ) | {"PYTHONUNBUFFERED": "1"}
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []

    def start(self, name: str, command: list[str]) -> None:
        """Start one, in a session of its own: Ctrl-C in the terminal is ours to pass on."""
        process = subprocess.Popen(
            command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._running[name] = process
        if process.stdout is not None:
            reader = threading.Thread(target=_pass_on, args=(name, process.stdout), daemon=True)
            reader.start()
            self._readers.append(reader)

    def ended(self) -> tuple[str, int] | None:
        """Return one that has ended, with its exit status."""
        for name, process in self._running.items():
            if (status := process.poll()) is not None:
                return name, status
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each that still runs."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait until all have ended; say whether they have."""
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process in self._running.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        self._join()
        return True

    def kill(self) -> None:
        """End at once whatever is left, with the processes that it started."""
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._join()

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(1.0)


def say(text: str) -> None:
    """Write one line at once; a terminal that has gone is no reason to stop working."""
    with _output, contextlib.suppress(OSError):
        print(text, flush=True)


def _pass_on(name: str, output: IO[str]) -> None:
    with output:
        for line in output:
            say(f"{name:<7}| {line.rstrip()}")
