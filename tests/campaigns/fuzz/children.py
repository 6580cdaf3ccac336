"""Many trials in few processes, any of which may crash, hang or be killed at any picture."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
BATCH = 250
HANGS_AFTER = 60.0  # seconds of wall time; CPU time is measured elsewhere
_FORK = multiprocessing.get_context("fork")


class Death(NamedTuple):
    """The process died at `number` without a result: why, and where in the code."""

    number: int
    reason: str


class _Child(Generic[T]):
    """One process and the numbers that it is given."""

    def __init__(
        self, numbers: Sequence[int], begin: Callable[[], None], trial: Callable[[int], T], traces: Path
    ) -> None:
        self.numbers = numbers
        self.at: int | None = None
        self.since = time.monotonic()
        self._traces = traces
        self.results, sender = _FORK.Pipe(duplex=False)
        self.process: ForkProcess = _FORK.Process(target=_work, args=(numbers, begin, trial, sender, traces))
        self.process.start()
        sender.close()

    def hangs(self) -> bool:
        return time.monotonic() - self.since > HANGS_AFTER

    def rest(self) -> Sequence[int]:
        """The numbers left over when it has died."""
        return self.numbers[self.numbers.index(self.at) + 1 :] if self.at is not None else self.numbers

    def death(self) -> Death | None:
        """Why it ended early."""
        self.process.join()
        trace = self._traces / f"{self.process.pid}.txt"
        where = trace.read_text(errors="replace") if trace.exists() else ""
        trace.unlink(missing_ok=True)
        if self.process.exitcode == 0:
            return None
        code = self.process.exitcode or 0
        reason = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        return Death(self.numbers[0] if self.at is None else self.at, f"{reason}\n{where}")


def run(
    numbers: Sequence[int],
    trial: Callable[[int], T],
    *,
    begin: Callable[[], None],
    processes: int,
    traces: Path,
) -> Iterator[T | Death]:
    """Run the trial for all numbers and yield the results, in no particular order.

    Parameters
    ----------
    numbers : sequence of int
        Distinct.
    trial : callable
        Called in a forked process, `BATCH` times in each.
    begin : callable
        Called once in each process.
    processes : int
        At work at the same time.
    traces : Path
        A folder where dying processes say where they were.
    """
    waiting = deque(numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))
    running: dict[Connection, _Child[T]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            child = _Child(waiting.popleft(), begin, trial, traces)
            running[child.results] = child
        for ready in wait(list(running), timeout=1.0):
            child = running[ready]  # type: ignore[index]
            try:
                message = child.results.recv()
            except EOFError:
                del running[child.results]
                child.results.close()
                death = child.death()
                if death is not None:
                    yield death
                    if rest := child.rest():
                        waiting.appendleft(rest)
                continue
            if isinstance(message, int):
                child.at = message
                child.since = time.monotonic()
            else:
                yield message
        for child in running.values():
            if child.hangs():
                child.process.kill()


def _work(
    numbers: Sequence[int],
    begin: Callable[[], None],
    trial: Callable[[int], T],
    sender: Connection,
    traces: Path,
) -> None:
    """In the child: drop what decoders print to standard error; write a trace where it crashes."""
    with (traces / f"{os.getpid()}.txt").open("w") as trace, Path(os.devnull).open("w") as nowhere:
        faulthandler.enable(trace)
        os.dup2(nowhere.fileno(), 2)
        begin()
        for number in numbers:
            sender.send(number)
            sender.send(trial(number))
    sender.close()
