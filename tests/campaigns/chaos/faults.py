"""The kinds of faults, and the plan of a campaign: which fault happens when, drawn from one seed."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.campaigns.chaos import injections
from tests.campaigns.chaos.deployment import Deployment
from tests.campaigns.chaos.injections import Injection, NoTargetError

GAP = 5.0  # seconds between two faults, on average

Fault = Callable[[Deployment, Injection], None]


@dataclass(frozen=True)
class Kind:
    """A fault, the seconds it may last (0 where something is killed), and whether searches are affected."""

    inject: Fault
    shortest: float = 0.0
    longest: float = 0.0
    database: str = ""
    harmless: bool = False


def plan(seed: int, count: int, database: str, only: str = "") -> list[Injection]:
    """Draw the faults of a campaign: each kind in turn; order, times and lengths are random."""
    rng = random.Random(f"{seed} blows")
    names = [name for name, kind in FAULTS.items() if kind.database in ("", database) and only in ("", name)]
    injections: list[Injection] = []
    at = 0.0
    remaining: list[str] = []
    for number in range(count):
        remaining = remaining or rng.sample(names, len(names))
        at += rng.expovariate(1 / GAP)
        kind = FAULTS[name := remaining.pop()]
        injections.append(Injection(number, name, at, rng.uniform(kind.shortest, kind.longest), rng.random()))
    return injections


def inject(deployment: Deployment, injection: Injection) -> None:
    """Inject one fault; where it lasts, wait until it is over."""
    try:
        with contextlib.suppress(NoTargetError):
            FAULTS[injection.fault].inject(deployment, injection)
    finally:
        injection.ended = time.time()


FAULTS: dict[str, Kind] = {
    "supervisor killed": Kind(injections.supervisor_killed),
    "worker told to stop": Kind(injections.worker_told_to_stop),
    "searcher killed": Kind(injections.searcher_killed),
    "child killed": Kind(injections.child_killed),
    "both killed": Kind(injections.both_killed),
    "both stalled": Kind(injections.both_stalled, 2.0, 15.0),
    "reconciler killed": Kind(injections.reconciler_killed),
    "web killed": Kind(injections.web_killed),
    "web stalled": Kind(injections.web_stalled, 1.0, 4.0),
    "redis killed": Kind(injections.redis_killed),
    "redis hung": Kind(injections.redis_hung, 2.0, 6.0),
    "redis emptied": Kind(injections.redis_emptied),
    "redis full": Kind(injections.redis_full, 2.0, 6.0),
    "database held": Kind(injections.database_held, 2.0, 12.0),
    "connections cut": Kind(injections.connections_cut, 1.0, 5.0, database="postgresql"),
    "database crashed": Kind(injections.database_crashed, database="postgresql"),
    "uploads disk full": Kind(injections.uploads_disk_full, 2.0, 6.0),
    "data disk full": Kind(injections.data_disk_full, 2.0, 6.0),
    "index swapped": Kind(injections.index_swapped, harmless=True),
}
