"""How soon after each fault a search was done again."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence

from tests.campaigns.chaos.evidence import Row
from tests.campaigns.chaos.faults import FAULTS
from tests.campaigns.chaos.strikes import Blow

PROMISED = 15.0  # seconds from any death, or the end of any outage, to the next search that is done


def recoveries(blows: Sequence[Blow], rows: Sequence[Row]) -> dict[int, float]:
    """Seconds from each blow's end until a search was done, by the blow's number.

    Where no search was waiting, the time begins with the next that came. A blow after which another struck,
    or still lasted, before a search was done is left out: what follows is measured from that other's end.
    """
    done = sorted(row.finished for row in rows if row.status == "done")
    found = {}
    harmful = [blow for blow in blows if blow.struck and not FAULTS[blow.fault].harmless]
    for blow in harmful:
        after = bisect_right(done, blow.ended)
        if after == len(done):
            continue
        until = done[after]
        if any(each.struck < until and each.ended > blow.ended for each in harmful):
            continue
        waiting = min(row.created for row in rows if row.finished > blow.ended)
        found[blow.number] = max(0.0, until - max(blow.ended, waiting))
    return found


def too_slow(blows: Sequence[Blow], rows: Sequence[Row]) -> dict[int, float]:
    """The recoveries that took longer than `PROMISED`."""
    found = recoveries(blows, rows)
    return {number: seconds for number, seconds in found.items() if seconds > PROMISED}


def spread(seconds: Sequence[float]) -> str:
    """Median, 95th percentile and maximum."""
    if not seconds:
        return f"{'-':>8}{'-':>8}{'-':>8}"
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):>8.1f}{high:>8.1f}{ordered[-1]:>8.1f}"
