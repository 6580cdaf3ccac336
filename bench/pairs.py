"""Fair timing: two ways of doing the same thing, in turn, in one process.

A shared machine changes its speed from one second to the next, so a single time says little. Ours and the
peer's runs alternate; what is reported is the median of each and the median of the ratios round by round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Pair:
    """Medians of one comparison; times in seconds."""

    ours: float
    peer: float
    ratio: float


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int,
    pause: float = 0.05,
    burst: int = 1,
) -> Pair:
    """Run both in turn `rounds` times after one warm-up each.

    Parameters
    ----------
    pause : float
        Seconds between the two: thread pools that spin after their work, as OpenMP's do, must not slow
        down what follows.
    burst : int
        Calls in a row, of which the median counts: a pool that has gone to sleep in the pause takes longer
        to wake than a short call takes.
    """
    ours(), peer()
    mine, other = [], []
    for turn in range(rounds):
        # The order changes each round, so that neither always finds the other's cache.
        for which in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            time.sleep(pause)
            work, times = (ours, mine) if which == "ours" else (peer, other)
            times.append(median(timed(work) for _ in range(burst)))
    return Pair(median(mine), median(other), median(a / b for a, b in zip(mine, other, strict=True)))
