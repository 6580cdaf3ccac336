"""The kinds of faults, and which of them strikes when: everything is drawn from one seed."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.campaigns.chaos import strikes
from tests.campaigns.chaos.stage import Stage
from tests.campaigns.chaos.strikes import Blow, MissedError

GAP = 5.0  # seconds between two blows, on average

Fault = Callable[[Stage, Blow], None]


@dataclass(frozen=True)
class Kind:
    """A fault, how long it may last (an end of something lasts no time), and whether searches suffer."""

    strike: Fault
    shortest: float = 0.0
    longest: float = 0.0
    database: str = ""
    harmless: bool = False


def plan(seed: int, count: int, database: str, only: str = "") -> list[Blow]:
    """Draw the blows of a campaign: every kind in turn, in an order, at moments and for times by chance."""
    rng = random.Random(f"{seed} blows")
    names = [name for name, kind in FAULTS.items() if kind.database in ("", database) and only in ("", name)]
    blows: list[Blow] = []
    at = 0.0
    deck: list[str] = []
    for number in range(count):
        deck = deck or rng.sample(names, len(names))
        at += rng.expovariate(1 / GAP)
        kind = FAULTS[name := deck.pop()]
        blows.append(Blow(number, name, at, rng.uniform(kind.shortest, kind.longest), rng.random()))
    return blows


def strike(stage: Stage, blow: Blow) -> None:
    """Strike one blow and, where it lasts, wait until it is over."""
    try:
        with contextlib.suppress(MissedError):
            FAULTS[blow.fault].strike(stage, blow)
    finally:
        blow.ended = time.time()


FAULTS: dict[str, Kind] = {
    "supervisor killed": Kind(strikes.supervisor_killed),
    "worker told to stop": Kind(strikes.worker_told_to_stop),
    "searcher killed": Kind(strikes.searcher_killed),
    "child killed": Kind(strikes.child_killed),
    "both killed": Kind(strikes.both_killed),
    "both stalled": Kind(strikes.both_stalled, 2.0, 15.0),
    "reconciler killed": Kind(strikes.reconciler_killed),
    "web killed": Kind(strikes.web_killed),
    "web stalled": Kind(strikes.web_stalled, 1.0, 4.0),
    "redis killed": Kind(strikes.redis_killed),
    "redis hung": Kind(strikes.redis_hung, 2.0, 6.0),
    "redis emptied": Kind(strikes.redis_emptied),
    "redis full": Kind(strikes.redis_full, 2.0, 6.0),
    "database held": Kind(strikes.database_held, 2.0, 12.0),
    "connections cut": Kind(strikes.connections_cut, 1.0, 5.0, database="postgresql"),
    "database crashed": Kind(strikes.database_crashed, database="postgresql"),
    "uploads disk full": Kind(strikes.uploads_disk_full, 2.0, 6.0),
    "data disk full": Kind(strikes.data_disk_full, 2.0, 6.0),
    "index swapped": Kind(strikes.index_swapped, harmless=True),
}
