"""Seconds from each fault until a search was done again."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence

from tests.campaigns.chaos.evidence import Row
from tests.campaigns.chaos.faults import FAULTS
from tests.campaigns.chaos.injections import Injection

RECOVERY_TARGET = 15.0  # seconds from any death, or the end of any outage, to the next search that is done


def recoveries(injections: Sequence[Injection], rows: Sequence[Row]) -> dict[int, float]:
    """Return the seconds from each fault's end until a search was done, by the fault's number.

    Where no search was waiting, the time starts with the next one submitted. A fault is left out where
    another started, or was still active, before a search was done: that other's end counts.
    """
    done = sorted(row.finished for row in rows if row.status == "done")
    found = {}
    harmful = [each for each in injections if each.injected and not FAULTS[each.fault].harmless]
    for injection in harmful:
        after = bisect_right(done, injection.ended)
        if after == len(done):
            continue
        until = done[after]
        if any(each.injected < until and each.ended > injection.ended for each in harmful):
            continue
        waiting = min(row.created for row in rows if row.finished > injection.ended)
        found[injection.number] = max(0.0, until - max(injection.ended, waiting))
    return found


def too_slow(injections: Sequence[Injection], rows: Sequence[Row]) -> dict[int, float]:
    """Return the recoveries that took longer than `RECOVERY_TARGET`."""
    found = recoveries(injections, rows)
    return {number: seconds for number, seconds in found.items() if seconds > RECOVERY_TARGET}


def spread(seconds: Sequence[float]) -> str:
    """Format median, 95th percentile and maximum."""
    if not seconds:
        return f"{'-':>8}{'-':>8}{'-':>8}"
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):>8.1f}{high:>8.1f}{ordered[-1]:>8.1f}"
