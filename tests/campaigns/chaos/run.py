"""``make chaos``: searches, while faults strike the worker, Redis, the web, the database and the disks.

A real installation on small disks of its own, each process under a keeper. First every picture is searched
with in calm, then again and again while faults strike, drawn from one seed. Nothing may be lost, doubled or
left undone a minute after the last fault, and every search must find what it found in calm. What was seen is
kept under ``build/chaos``. ``--only FAULT`` plays one kind.
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
from tests.campaigns.chaos.clients import Door, Page, Program
from tests.campaigns.chaos.crowd import Crowd
from tests.campaigns.chaos.evidence import Evidence
from tests.campaigns.chaos.faults import FAULTS, GAP, plan, strike
from tests.campaigns.chaos.judgement import PATIENCE, findings
from tests.campaigns.chaos.recovery import recoveries, spread
from tests.campaigns.chaos.stage import Stage, queries
from tests.campaigns.chaos.strikes import Blow
from tests.campaigns.chaos.tickets import Hit
from tests.support.postgres import postgres_server

SEARCHES, BLOWS, SEED = 2_000, 200, 20_260_101
CLIENTS = 24
CALM_SECONDS = 300.0
TICK = 0.05
BEHIND = 12  # searches that wait for a client, until no further fault strikes
QUIET = 30.0  # seconds more for Redis's books and orphaned processes
DURABLE = "synchronous_commit=on"  # what PostgreSQL has committed, it must have after a crash of its own
KEPT = ROOT / "build" / "chaos"
PLACE, DATABASE = "VITRINE_CHAOS_PLACE", "VITRINE_CHAOS_DATABASE"  # from the outer process to the inner


def play(stage: Stage, searches: int, blows: list[Blow], seed: int) -> Evidence:
    """Play a campaign on a stage that runs, and gather what is to be judged."""
    pictures = queries(max(20, searches // 20))
    with contextlib.closing(Crowd(_doors(stage), pictures)) as crowd:
        expected = _calm(stage, crowd, len(pictures), seed)
        chosen = [number % len(pictures) for number in range(searches)]
        random.Random(f"{seed} pictures").shuffle(chosen)
        crowd.start("faults", chosen, blows[-1].at + GAP, seed)
        _strike_all(stage, blows, crowd)
        seen = Evidence(crowd.tickets, blows, expected)
        seen.in_time = crowd.finish(PATIENCE)
        crowd.look_once_more(PATIENCE)
    _settle(stage, seen)
    return seen


def _calm(stage: Stage, crowd: Crowd, pictures: int, seed: int) -> dict[int, list[Hit]]:
    """Search with each picture while nothing strikes; return what was found."""
    crowd.start("calm", range(pictures), 0.0, seed)
    crowd.release(0.0)
    if not crowd.finish(CALM_SECONDS) or {ticket.status for ticket in crowd.tickets} != {"done"}:
        raise RuntimeError(f"the calm run failed; its logs are in {stage.logs}")
    return {ticket.picture: ticket.hits for ticket in crowd.tickets}


def _doors(stage: Stage) -> list[Door]:
    """Browsers and programs in turn."""
    programs = [Program(stage.address, stage.token_of(f"program-{n}")) for n in range(CLIENTS // 2)]
    return [*programs, *(Page(stage.address) for _ in range(CLIENTS - len(programs)))]


def _strike_all(stage: Stage, blows: list[Blow], crowd: Crowd) -> None:
    """Strike each blow at its time, in a thread of its own, since they may overlap."""
    clock, threads = Clock(crowd), []
    with tqdm(total=len(blows), disable=None, mininterval=2.0) as progress:
        for blow in blows:
            clock.wait_until(blow.at)
            threads.append(threading.Thread(target=strike, args=(stage, blow)))
            threads[-1].start()
            progress.update()
    clock.wait_until(blows[-1].at + GAP)  # the last blow, too, may need a search to strike
    for thread in threads:
        thread.join()


class Clock:
    """A campaign's own time: it stands still while more than `BEHIND` searches are due and not begun.

    So a slow machine takes longer, and has as many searches for each fault. Where searches do not end at all,
    it goes on after `PATIENCE`, and the judge will say so.
    """

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._now = self._stood = 0.0

    def wait_until(self, moment: float) -> None:
        """Let searches begin, as they are due, until this moment."""
        while self._now < moment:
            time.sleep(TICK)
            behind = self._crowd.release(self._now) > BEHIND
            self._stood = self._stood + TICK if behind else 0.0
            if not behind or self._stood > PATIENCE:
                self._now += TICK


def _settle(stage: Stage, seen: Evidence) -> None:
    """Let the processes come to rest, look at what they hold, stop them, and look at what they have left."""
    until = time.monotonic() + QUIET
    time.sleep(1.0)  # the web process notices that the clients have left
    while (found.books(stage) or stage.worker.leftovers()) and time.monotonic() < until:
        time.sleep(0.5)
    seen.redis, seen.leftovers = found.books(stage), len(stage.worker.leftovers())
    stage.stop()
    with stage.app.app_context():
        seen.rows, seen.files = found.rows(), found.files(stage)
    seen.logs = found.logs(sorted(stage.logs.glob("*.log")))


def report(seen: Evidence) -> list[str]:
    """Say what happened, and how soon each fault was got over, in seconds."""
    soon = recoveries(seen.blows, seen.rows)
    struck = Counter(blow.fault for blow in seen.blows if blow.struck)
    lines = [f"{'':24}{'struck':>8}{'alone':>8}{'median':>8}{'95 %':>8}{'most':>8}"]
    for name in FAULTS:
        own = [soon[blow.number] for blow in seen.blows if blow.fault == name and blow.number in soon]
        lines.append(f"{name:24}{struck[name]:>8}{len(own):>8}{spread(own)}")
    told = [ticket for ticket in seen.tickets if ticket.submission.startswith("faults")]
    waits = [ticket.ended - ticket.accepted for ticket in told if ticket.ended]
    attempts = Counter(row.attempt for row in seen.rows)
    return [
        *lines,
        f"{'any, until a search':24}{struck.total():>8}{len(soon):>8}{spread(list(soon.values()))}",
        f"{'a search, until its end':24}{len(waits):>16}{spread(waits)}",
        f"searches by attempts: {', '.join(f'{count} x {n}' for n, count in sorted(attempts.items()))}",
        f"{sum(ticket.tries > 1 for ticket in told)} submissions sent again, "
        f"{sum(bool(ticket.refused) for ticket in told)} refused; "
        f"{sum(row.status == 'failed' for row in seen.rows)} searches lost three times and tried again; "
        f"{seen.logs.late} results too late and not written; {len(seen.files.orphans)} files swept",
        *(f"logged {count} x {error}" for error, count in sorted(seen.logs.errors.items())),
    ]


def main() -> int:
    """Play a campaign; return 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--faults", type=int, default=BLOWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=FAULTS, default="", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--keep", type=Path, default=KEPT, metavar="FOLDER", help="for what was seen")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args()
    if PLACE not in os.environ:
        return _in_a_namespace(chosen.database)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    seen, stage = _played(chosen)
    wrong = findings(seen)
    _keep(chosen.keep / f"{chosen.seed}-{chosen.database}", stage, seen)
    print(*report(seen), sep="\n")
    print(
        f"{chosen.searches} searches, {chosen.faults} faults, seed {chosen.seed}, {chosen.database},", end=" "
    )
    print(f"{time.monotonic() - began:.0f} s, {len(wrong)} findings")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def _played(chosen: argparse.Namespace) -> tuple[Evidence, Stage]:
    blows = plan(chosen.seed, chosen.faults, chosen.database, chosen.only)
    with socket_directory() as sockets:
        stage = Stage(Path(os.environ[PLACE]), sockets, os.environ[DATABASE])
        try:
            stage.start()
            return play(stage, chosen.searches, blows, chosen.seed), stage
        finally:
            stage.stop()


def _in_a_namespace(database: str) -> int:
    """Play in a process that may mount disks which only it and its children see; clean up behind it."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres_server(DURABLE)).url if database == "postgresql" else ""
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="vitrine-chaos-"))
        rights = "-m" if os.geteuid() == 0 else "-rm"
        command = ["unshare", rights, sys.executable, "-m", "tests.campaigns.chaos.run", *sys.argv[1:]]
        inner = subprocess.Popen(command, env={**os.environ, PLACE: place, DATABASE: url})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the inner process too
        signal.signal(signal.SIGTERM, lambda *_: inner.terminate())
        return inner.wait()


def _keep(folder: Path, stage: Stage, seen: Evidence) -> None:
    """Keep what was seen: the next campaign of the same seed and database takes its place."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stage.logs, folder / "logs")
    seen.save(folder / "evidence.json")
    for file in stage.data.glob("vitrine.db*"):
        shutil.copy(file, folder)


if __name__ == "__main__":
    sys.exit(main())
