"""``make chaos``: searches while faults hit the worker, Redis, the web process, the database and the disks.

A real installation on small disks, each process restarted by a service manager. Every picture is searched
once in a calm run, then again and again while faults happen, drawn from one seed. A minute after the last
fault nothing may be lost, doubled or unfinished, and every search must have found what it found in the calm
run. The evidence is kept under ``build/chaos``. ``--only FAULT`` runs one kind.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from config import ROOT
from scripts.redis_server import socket_directory
from tests.campaigns.chaos import evidence as found
from tests.campaigns.chaos.client_pool import ClientPool
from tests.campaigns.chaos.clients import Page, Program, Transport
from tests.campaigns.chaos.deployment import Deployment, queries
from tests.campaigns.chaos.evidence import Evidence
from tests.campaigns.chaos.faults import FAULTS, GAP, inject, plan
from tests.campaigns.chaos.findings import PATIENCE, findings
from tests.campaigns.chaos.injections import Injection
from tests.campaigns.chaos.recovery import recoveries, spread
from tests.campaigns.chaos.tickets import Hit
from tests.support.postgres import postgres_server

SEARCHES, INJECTIONS, SEED = 2_000, 200, 20_260_101
CLIENTS = 24
CALM_SECONDS = 300.0
TICK = 0.05
BEHIND = 12  # while more searches wait for a client, no further fault happens
QUIET = 30.0  # seconds more for RQ's registries and orphaned processes
DURABLE = "synchronous_commit=on"  # what PostgreSQL has committed must survive its own crash
KEPT = ROOT / "build" / "chaos"
PLACE, DATABASE = "VITRINE_CHAOS_PLACE", "VITRINE_CHAOS_DATABASE"  # from the outer process to the inner


def play(deployment: Deployment, searches: int, injections: list[Injection], seed: int) -> Evidence:
    """Run a campaign on a running deployment and gather the evidence."""
    pictures = queries(max(20, searches // 20))
    with contextlib.closing(ClientPool(_transports(deployment), pictures)) as pool:
        expected = _calm(deployment, pool, len(pictures), seed)
        chosen = [number % len(pictures) for number in range(searches)]
        random.Random(f"{seed} pictures").shuffle(chosen)
        pool.start("faults", chosen, injections[-1].at + GAP, seed)
        _inject_all(deployment, injections, pool)
        seen = Evidence(pool.tickets, injections, expected)
        seen.in_time = pool.finish(PATIENCE)
        pool.verify(PATIENCE)
    _settle(deployment, seen)
    return seen


def _calm(deployment: Deployment, pool: ClientPool, pictures: int, seed: int) -> dict[int, list[Hit]]:
    """Search with each picture without faults; return what was found."""
    pool.start("calm", range(pictures), 0.0, seed)
    pool.release(0.0)
    if not pool.finish(CALM_SECONDS) or {ticket.status for ticket in pool.tickets} != {"done"}:
        raise RuntimeError(f"the calm run failed; its logs are in {deployment.logs}")
    return {ticket.picture: ticket.hits for ticket in pool.tickets}


def _transports(deployment: Deployment) -> list[Transport]:
    """Browsers and programs in turn."""
    programs = [Program(deployment.address, deployment.token_of(f"program-{n}")) for n in range(CLIENTS // 2)]
    return [*programs, *(Page(deployment.address) for _ in range(CLIENTS - len(programs)))]


def _inject_all(deployment: Deployment, injections: list[Injection], pool: ClientPool) -> None:
    """Inject each fault at its time, each in its own thread, since they may overlap."""
    clock, threads = Clock(pool), []
    with tqdm(total=len(injections), disable=None, mininterval=2.0) as progress:
        for injection in injections:
            clock.wait_until(injection.at)
            threads.append(threading.Thread(target=inject, args=(deployment, injection)))
            threads[-1].start()
            progress.update()
    clock.wait_until(injections[-1].at + GAP)  # the last fault, too, may need a search to hit
    for thread in threads:
        thread.join()


class Clock:
    """The campaign's clock: it stops while more than `BEHIND` searches are due and not started.

    So a slow machine takes longer, with as many searches for each fault. Where searches do not end at all,
    the clock resumes after `PATIENCE`, and the findings say so.
    """

    def __init__(self, pool: ClientPool) -> None:
        self._pool = pool
        self._now = self._stood = 0.0

    def wait_until(self, moment: float) -> None:
        """Release searches, as they are due, until this time."""
        while self._now < moment:
            time.sleep(TICK)
            behind = self._pool.release(self._now) > BEHIND
            self._stood = self._stood + TICK if behind else 0.0
            if not behind or self._stood > PATIENCE:
                self._now += TICK


def _settle(deployment: Deployment, seen: Evidence) -> None:
    """Let the processes come to rest, stop them, and gather what they leave."""
    until = time.monotonic() + QUIET
    time.sleep(1.0)  # the web process notices that the clients have left
    while (found.job_keys(deployment) or deployment.worker.leftovers()) and time.monotonic() < until:
        time.sleep(0.5)
    seen.redis, seen.leftovers = found.job_keys(deployment), len(deployment.worker.leftovers())
    deployment.stop()
    with deployment.app.app_context():
        seen.rows, seen.files = found.rows(), found.files(deployment)
    seen.logs = found.logs(sorted(deployment.logs.glob("*.log")))


def report(seen: Evidence) -> list[str]:
    """Return what happened, and the seconds until each fault was recovered from."""
    soon = recoveries(seen.injections, seen.rows)
    injected = Counter(injection.fault for injection in seen.injections if injection.injected)
    lines = [f"{'':24}{'injected':>8}{'alone':>8}{'median':>8}{'95 %':>8}{'most':>8}"]
    for name in FAULTS:
        own = [
            soon[injection.number]
            for injection in seen.injections
            if injection.fault == name and injection.number in soon
        ]
        lines.append(f"{name:24}{injected[name]:>8}{len(own):>8}{spread(own)}")
    told = [ticket for ticket in seen.tickets if ticket.submission.startswith("faults")]
    waits = [ticket.ended - ticket.accepted for ticket in told if ticket.ended]
    attempts = Counter(row.attempt for row in seen.rows)
    return [
        *lines,
        f"{'any, until a search':24}{injected.total():>8}{len(soon):>8}{spread(list(soon.values()))}",
        f"{'a search, until its end':24}{len(waits):>16}{spread(waits)}",
        f"searches by attempts: {', '.join(f'{count} x {n}' for n, count in sorted(attempts.items()))}",
        f"{sum(ticket.tries > 1 for ticket in told)} submissions sent again, "
        f"{sum(bool(ticket.refused) for ticket in told)} refused; "
        f"{sum(row.status == 'failed' for row in seen.rows)} searches interrupted three times and retried; "
        f"{seen.logs.late} late results not written; {len(seen.files.orphans)} files swept",
        *(f"logged {count} x {error}" for error, count in sorted(seen.logs.errors.items())),
    ]


def main() -> int:
    """Run a campaign; return 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--faults", type=int, default=INJECTIONS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=FAULTS, default="", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--keep", type=Path, default=KEPT, metavar="FOLDER", help="for what was seen")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args()
    if PLACE not in os.environ:
        return _in_a_namespace(chosen.database)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    seen, deployment = _played(chosen)
    wrong = findings(seen)
    _keep(chosen.keep / f"{chosen.seed}-{chosen.database}", deployment, seen)
    print(*report(seen), sep="\n")
    print(
        f"{chosen.searches} searches, {chosen.faults} faults, seed {chosen.seed}, {chosen.database},", end=" "
    )
    print(f"{time.monotonic() - began:.0f} s, {len(wrong)} findings")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def _played(chosen: argparse.Namespace) -> tuple[Evidence, Deployment]:
    injections = plan(chosen.seed, chosen.faults, chosen.database, chosen.only)
    with socket_directory() as sockets:
        deployment = Deployment(Path(os.environ[PLACE]), sockets, os.environ[DATABASE])
        try:
            deployment.start()
            return play(deployment, chosen.searches, injections, chosen.seed), deployment
        finally:
            deployment.stop()


def _in_a_namespace(database: str) -> int:
    """Run in a mount namespace, so that only this campaign sees its disks; clean up afterwards."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres_server(DURABLE)).url if database == "postgresql" else ""
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="vitrine-chaos-"))
        rights = "-m" if os.geteuid() == 0 else "-rm"
        command = ["unshare", rights, sys.executable, "-m", "tests.campaigns.chaos.run", *sys.argv[1:]]
        inner = subprocess.Popen(command, env={**os.environ, PLACE: place, DATABASE: url})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the inner process too
        signal.signal(signal.SIGTERM, lambda *_: inner.terminate())
        return inner.wait()


def _keep(folder: Path, deployment: Deployment, seen: Evidence) -> None:
    """Keep the evidence; the next campaign of the same seed and database replaces it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(deployment.logs, folder / "logs")
    seen.save(folder / "evidence.json")
    for file in deployment.data.glob("vitrine.db*"):
        shutil.copy(file, folder)


if __name__ == "__main__":
    sys.exit(main())
