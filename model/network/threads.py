"""Threads that share a forward pass.

NumPy releases the interpreter's lock while it calculates, so Python threads can share the work, each with
BLAS held to a single thread. That keeps all cores busy between the matrix products too. It also copes with a
busy machine: BLAS's own threads wait for each other by spinning, and slow down tenfold when another process
takes a core.

`model.network.vit` takes a team for each forward pass. Imports threadpoolctl only.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from queue import SimpleQueue

from threadpoolctl import ThreadpoolController

Task = Callable[[int], None]
_Answers = SimpleQueue[BaseException | None]
_Inbox = SimpleQueue[tuple[Task, int, _Answers] | None]


class Team:
    """The calling thread and `size` - 1 others that wait for work.

    Parameters
    ----------
    size : int
        Number of members; the calling thread has rank 0.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._inboxes: list[_Inbox] = [SimpleQueue() for _ in range(size - 1)]
        for inbox in self._inboxes:
            threading.Thread(target=_work, args=(inbox,), name="vitrine-encoder", daemon=True).start()
        weakref.finalize(self, _dismiss, self._inboxes)

    def run(self, task: Task) -> None:
        """Call ``task(rank)`` in every member and wait until all have returned.

        Parameters
        ----------
        task : callable

        Raises
        ------
        BaseException
            What a member raised. Other members may still be running, so neither the team nor the arrays that
            it worked on may be used again.
        """
        answers: _Answers = SimpleQueue()
        for rank, inbox in enumerate(self._inboxes, start=1):
            inbox.put((task, rank, answers))
        task(0)
        for _ in self._inboxes:
            error = answers.get()
            if error is not None:
                raise error


def _dismiss(inboxes: list[_Inbox]) -> None:
    for inbox in inboxes:
        inbox.put(None)


def _work(inbox: _Inbox) -> None:
    while (job := inbox.get()) is not None:
        task, rank, answers = job
        error: BaseException | None = None
        try:
            task(rank)
        except BaseException as raised:
            error = raised
        answers.put(error)
        del job, task, answers, error  # a waiting thread must not keep the last arrays alive


SOLO = Team(1)
"""A team of the calling thread alone."""


def shares(total: int, size: int) -> list[slice]:
    """Divide ``range(total)`` into `size` slices of nearly equal length; some may be empty."""
    ends = [total * rank // size for rank in range(size + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


@contextmanager
def team(size: int | None = None) -> Iterator[Team]:
    """Use this process's team, with BLAS held to one thread in each member.

    Only one computation uses it at a time, since it takes all cores; a second caller waits.

    Parameters
    ----------
    size : int, optional
        Number of members; by default the number of threads that BLAS may use.

    Yields
    ------
    Team
    """
    with _turn.lock:
        size = size or blas_threads()
        if size not in _turn.teams:
            _turn.teams[size] = Team(size)
        try:
            with _controller().limit(limits=1, user_api="blas"):
                yield _turn.teams[size]
        except BaseException:
            if size > 1:
                del _turn.teams[size]
            raise


def blas_threads() -> int:
    """Return how many threads BLAS may use: ``OPENBLAS_NUM_THREADS``, threadpoolctl's limit, or all cores."""
    return max(
        (library.num_threads for library in _controller().lib_controllers if library.user_api == "blas"),
        default=1,
    )


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


class _Turn:
    """The process's teams, and the lock of the computation that uses one."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.lock = threading.Lock()
        self.teams: dict[int, Team] = {1: SOLO}


_turn = _Turn()
# Threads do not survive a fork, and a thread that is lost may hold the lock.
os.register_at_fork(after_in_child=_turn.begin)
