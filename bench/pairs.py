"""Fair timing of two implementations, in turn, in one process.

The speed of a shared machine changes from one second to the next, so a single measurement says little. Our
runs and the peer's alternate; the results are the median of each, and the median of the ratios of all rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Pair:
    """Medians of one comparison: seconds of ours and of the peer, and the ratio of the two."""

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
    """Run both in turn `rounds` times, after one warm-up each.

    Parameters
    ----------
    ours, peer : callable
        What to time.
    rounds : int
    pause : float
        Seconds between the two, so that thread pools which spin after their work, as OpenMP's do, do not slow
        down the next call.
    burst : int
        Calls in a row, of which the median counts: waking a pool that fell asleep in the pause can take
        longer than a short call.

    Returns
    -------
    Pair
    """
    ours(), peer()
    mine, other = [], []
    for turn in range(rounds):
        # The order alternates, so that neither always finds the cache that the other has filled.
        for which in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            time.sleep(pause)
            work, times = (ours, mine) if which == "ours" else (peer, other)
            times.append(median(timed(work) for _ in range(burst)))
    return Pair(median(mine), median(other), median(a / b for a, b in zip(mine, other, strict=True)))
