"""The Procfile's processes: started and stopped together, revived when they die, their output passed on.

A process manager such as Honcho does not fit: a search may take as long as `JOB_TIMEOUT`, but Honcho kills
five seconds after the first process has ended, and ignores a second Ctrl-C.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts import child

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds until a process that died is restarted
STABLE_SECONDS = 30.0  # a process that ran this long is healthy, and its next death counts as the first
MAX_DEATHS = 5  # in a row, each before `STABLE_SECONDS`

_output = threading.Lock()


class GivenUpError(RuntimeError):
    """A process died too often; the message is for the user."""


@dataclass
class Running:
    """One process with its state."""

    command: list[str]
    process: subprocess.Popen[str]
    started: float
    deaths: int = 0
    restart_at: float | None = None


def read_procfile(path: Path) -> dict[str, list[str]]:
    """Return each process's command by its name; ``python`` becomes the interpreter that runs this."""
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
    inherited : sequence of int
        Descriptors that they inherit.
    """

    def __init__(self, environ: Mapping[str, str], inherited: Sequence[int] = ()) -> None:
        self._environ = dict(environ) | {"PYTHONUNBUFFERED": "1"}
        self._inherited = tuple(inherited)
        self._running: dict[str, Running] = {}
        self._readers: list[threading.Thread] = []

    def start(self, name: str, command: list[str]) -> None:
        """Start a process."""
        self._running[name] = Running(command, self._spawn(name, command), time.monotonic())

    def revive(self) -> None:
        """Restart processes that have died. Call this often.

        Raises
        ------
        GivenUpError
            A process has died `MAX_DEATHS` times in a row soon after its start.
        """
        now = time.monotonic()
        for name, each in self._running.items():
            if each.restart_at is not None and now >= each.restart_at:
                each.process, each.started, each.restart_at = self._spawn(name, each.command), now, None
            elif each.restart_at is None and (status := each.process.poll()) is not None:
                self._died(name, each, status, now)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: each.process.pid for name, each in self._running.items()}

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each process that still runs."""
        for each in self._running.values():
            if each.process.poll() is None:
                each.process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait until all processes have ended; return whether they have."""
        deadline = time.monotonic() + seconds
        while any(each.process.poll() is None for each in self._running.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        self._join()
        return True

    def kill(self) -> None:
        """Kill the processes that are left, with those that they started."""
        for each in self._running.values():
            if each.process.poll() is None:
                os.killpg(each.process.pid, signal.SIGKILL)
                each.process.wait()
        self._join()

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[str]:
        """Start a process in its own session: Ctrl-C in the terminal reaches the launcher only."""
        process = subprocess.Popen(
            child.command(command),
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=self._inherited,
        )
        if process.stdout is not None:
            reader = threading.Thread(target=_pass_on, args=(name, process.stdout), daemon=True)
            reader.start()
            self._readers.append(reader)
        return process

    def _died(self, name: str, each: Running, status: int, now: float) -> None:
        each.deaths = 1 if now - each.started > STABLE_SECONDS else each.deaths + 1
        if each.deaths >= MAX_DEATHS:
            raise GivenUpError(
                f"{name} ended {each.deaths} times in a row, the last time with status {status}; see its"
                " messages above, and run: flask doctor"
            )
        pause = min(FIRST_PAUSE * 2 ** (each.deaths - 1), LONGEST_PAUSE)
        each.restart_at = now + pause
        print_line(f"{name} ended with status {status}; restarting it in {pause:.1f} s")

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(1.0)


def print_line(text: str) -> None:
    """Print one line and flush it; a closed terminal does not stop the work."""
    with _output, contextlib.suppress(OSError):
        print(text, flush=True)


def _pass_on(name: str, output: IO[str]) -> None:
    with output:
        for line in output:
            print_line(f"{name:<7}| {line.rstrip()}")
