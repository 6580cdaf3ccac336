"""Samples of a site under load: what its processes use, how many searches wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import NamedTuple, Self

USE_EVERY, DEPTH_EVERY = 1.0, 0.1  # seconds
EDGE = 0.1  # share of the samples compared at the start and at the end


class Use(NamedTuple):
    """What a process uses: resident memory in KiB, and seconds of CPU time with those of its
    children that have ended.
    """

    resident: int
    cpu: float


class Sample(NamedTuple):
    """One process at one time; `use` is None where it has ended."""

    phase: str
    role: str
    seconds: float
    use: Use | None


class Depth(NamedTuple):
    """Number of searches that waited or ran at one time."""

    phase: str
    pending: int


class Watch:
    """Samples in another thread, from entering the block to leaving it.

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
        self.samples: list[Sample] = []
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
        except BaseException as error:  # raised again in the waiting thread
            self.error = error

    def _sample(self) -> None:
        due = 0.0
        while not self._stop.wait(DEPTH_EVERY):
            phase = self._phase()
            self.depths.append(Depth(phase, self._pending()))
            now = time.monotonic()
            if now >= due:
                due = now + USE_EVERY
                self.samples += [Sample(phase, role, now, use(pid)) for role, pid in self._roles.items()]


def use(pid: int) -> Use | None:
    """Return what a process uses (Linux); None where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks, pages = fields[0], fields[11:15], int(fields[21])
    if state == "Z":  # a zombie
        return None
    cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return Use(pages * os.sysconf("SC_PAGE_SIZE") >> 10, cpu)


def edges(samples: list[int]) -> tuple[int, int]:
    """Return the median of the first tenth of the samples, and of the last."""
    width = max(1, int(len(samples) * EDGE))
    return round(median(samples[:width])), round(median(samples[-width:]))
