"""Looks at the site from outside while it is under load: memory of its processes, searches that wait."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import NamedTuple, Self

MEMORY_EVERY, DEPTH_EVERY = 1.0, 0.1  # seconds
EDGE = 0.1  # share of the samples that are compared at the beginning and at the end


class Memory(NamedTuple):
    """Resident memory of one process at one moment, in KiB; None where it is gone."""

    phase: str
    role: str
    resident: int | None


class Depth(NamedTuple):
    """Searches that waited or ran at one moment."""

    phase: str
    pending: int


class Watch:
    """Samples in a thread of its own, from entering the block to leaving it.

    Parameters
    ----------
    roles : mapping of str to int
        Process ids, by what they are called.
    pending : callable
        Returns how many searches wait or run.
    phase : callable
        Returns the name of what is going on.
    """

    def __init__(
        self, roles: Mapping[str, int], pending: Callable[[], int], phase: Callable[[], str]
    ) -> None:
        self._roles, self._pending, self._phase = dict(roles), pending, phase
        self.memory: list[Memory] = []
        self.depths: list[Depth] = []
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.thread.join()
        if self.error is not None and error is None:
            raise self.error

    def _run(self) -> None:
        try:
            self._sample()
        except BaseException as error:  # raised again in the thread that waits
            self.error = error

    def _sample(self) -> None:
        memory_due = 0.0
        while not self._stop.wait(DEPTH_EVERY):
            phase = self._phase()
            self.depths.append(Depth(phase, self._pending()))
            if time.monotonic() >= memory_due:
                memory_due = time.monotonic() + MEMORY_EVERY
                self.memory += [Memory(phase, role, resident(pid)) for role, pid in self._roles.items()]


def resident(pid: int) -> int | None:
    """Resident memory of a process in KiB (Linux); None where there is no such process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return None
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else None  # a zombie has none


def edges(samples: list[int]) -> tuple[int, int]:
    """The median of the first tenth of the samples, and of the last."""
    width = max(1, int(len(samples) * EDGE))
    return round(median(samples[:width])), round(median(samples[-width:]))
