"""``make load``: browsers that search and poll, then a flood of searches, then quiet again.

A real site (Redis, web process, worker, and this beside them, all on two cores) is visited for ten minutes by
50 browsers that put in five pictures a second. Then 1,000 more come at once, far above the cap, and the end
of all that were accepted is waited for. `verdict.py` judges what was seen; the exit status is 1 where a bound
is missed. ``--short`` plays the same in less than a minute and judges what is right and wrong, but no
times, which mean little on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from app.database import PENDING, Search
from app.extensions import db
from tests.campaigns.load import browsing, photographs
from tests.campaigns.load.browsing import Browser
from tests.campaigns.load.figures import lines
from tests.campaigns.load.verdict import AFTER, FLOOD, LAST_VISITS, RECOVERY, STEADY, WARM_UP, Run, missed
from tests.campaigns.load.watch import Watch
from tests.support.installation import Installation
from tests.support.postgres import postgres_server
from tests.support.servers import redis_server

CORES = 2
ALONE = 10  # one in this many pictures of the flood comes from one browser, before the others
LOOK = 0.5  # seconds between two visits to the home page during the flood


@dataclass(frozen=True)
class Form:
    """Lengths and amounts. Times are in seconds; `pace` is searches per second of all browsers together."""

    warm_up: float = 60.0
    steady: float = 600.0
    recovery: float = 300.0
    pace: float = 5.0
    browsers: int = 50
    members: int = 10  # browsers that are logged in
    workers: int = 2
    flood: int = 1000
    uploads: int = 60
    gallery: int = 3000
    cap: int = 500
    cap_of_one: int = 20


LONG = Form()
SHORT = Form(warm_up=5.0, steady=12.0, recovery=60.0, flood=200, uploads=8, gallery=120, cap=40, cap_of_one=8)


@dataclass(frozen=True)
class Site:
    """A running installation and its processes."""

    roles: dict[str, int]
    installation: Installation

    def pending(self) -> int:
        """Return the number of searches that wait or run."""
        with self.installation.app.app_context():
            statement = sa.select(sa.func.count()).where(Search.status.in_(PENDING))
            return db.session.scalar(statement) or 0


@contextlib.contextmanager
def site(form: Form, database: str) -> Iterator[Site]:
    """Run a site with its own gallery on ``sqlite`` or ``postgresql`` until the block ends."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server())
        environ = {
            "MAX_QUEUE": str(form.cap),
            "MAX_PENDING_PER_OWNER": str(form.cap_of_one),
            "VISITOR_SHARE": "100",
        }
        if database == "postgresql":
            environ["DATABASE_URL"] = stack.enter_context(postgres_server()).url
        made = Installation(directory / "data", redis, **environ)
        stack.callback(made.close)
        made.prepare(photographs.write_gallery(directory / "gallery", form.gallery))
        roles = {"web": stack.enter_context(made.web()).popen.pid}
        worker = stack.enter_context(made.worker(workers=form.workers))
        searchers = made.searchers()
        (reconciler,) = worker.descendants() - set(searchers)
        roles |= {"worker": worker.popen.pid, "reconciler": reconciler}
        roles |= {f"searcher {number}": pid for number, pid in enumerate(searchers, 1)}
        yield Site(roles, made)


def play(form: Form, database: str = "sqlite") -> Run:
    """Visit a site as `form` says; return the measurements."""
    run = Run(cap=form.cap, planned=round(form.pace * form.steady))
    pictures = photographs.uploads(form.uploads)
    with site(form, database) as visited:
        with Watch(visited.roles, visited.pending, lambda: run.answers.phase) as watch:
            asyncio.run(_play(form, visited.installation.url, run, pictures))
        run.samples, run.depths = watch.samples, watch.depths
    return run


async def _play(form: Form, url: str, run: Run, pictures: Sequence[bytes]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        browsers = [
            await stack.enter_async_context(Browser(url, run.answers, pictures, number))
            for number in range(form.browsers)
        ]
        await _visits(form, run, browsers)
        await _flood(form, run, browsers)
        run.answers.phase = AFTER
        await asyncio.gather(*(browser.visit() for browser in browsers[: form.members]))


async def _visits(form: Form, run: Run, browsers: Sequence[Browser]) -> None:
    """Let every browser come and go; the first ones are logged in."""
    run.answers.phase = WARM_UP
    began = time.perf_counter()
    end = began + form.warm_up + form.steady
    visiting = asyncio.gather(
        *(_come_and_go(browser, form, began + browser.number / form.pace, end) for browser in browsers)
    )
    await asyncio.sleep(form.warm_up)
    run.answers.phase = STEADY
    await asyncio.sleep(form.steady)
    run.answers.phase = LAST_VISITS
    await visiting


async def _come_and_go(browser: Browser, form: Form, due: float, end: float) -> None:
    if browser.number < form.members:
        await browser.sign_up()
    while due < end:
        await browser.watch(due)
        await browser.visit()
        due += form.browsers / form.pace


async def _flood(form: Form, run: Run, browsers: Sequence[Browser]) -> None:
    """Submit far more than may wait, first from one browser, then from all; wait for what was accepted."""
    run.answers.phase = FLOOD
    alone = form.flood // ALONE
    over = asyncio.Event()
    looking = asyncio.create_task(_look_around(browsers[-1], over))
    taken = [await _put_in(browsers[0], alone)]
    rest, others = form.flood - alone, browsers[1:]
    shares = [rest * (rank + 1) // len(others) - rest * rank // len(others) for rank in range(len(others))]
    taken += await asyncio.gather(*map(_put_in, others, shares))
    over.set()
    await looking
    run.answers.phase = RECOVERY
    began = time.perf_counter()
    pairs = zip(browsers, taken, strict=True)
    await asyncio.gather(*(_see_ends(browser, searches, form.recovery) for browser, searches in pairs))
    run.recovery = time.perf_counter() - began


async def _put_in(browser: Browser, count: int) -> list[browsing.Search]:
    token = await browser.token()
    sent = [await browser.put_in(token) for _ in range(count)]
    return [search for search in sent if search is not None]


async def _look_around(browser: Browser, over: asyncio.Event) -> None:
    while not over.is_set():
        await browser.token()
        await asyncio.sleep(LOOK)


async def _see_ends(browser: Browser, searches: Sequence[browsing.Search], seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    for search in searches:
        await browser.wait(search, deadline)


def main() -> int:
    """Run the campaign; return 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="less than a minute, and times are not judged")
    parser.add_argument("--steady", type=float, metavar="SECONDS", help="another length of the steady phase")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args()
    form = SHORT if chosen.short else LONG
    if chosen.steady is not None:
        form = replace(form, steady=chosen.steady)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # inherited by every process started
    run = play(form, chosen.database)
    print("\n".join(lines(run)))
    problems = missed(run, timed=not chosen.short)
    print("\n".join(f"MISSED: {problem}" for problem in problems) or "Every bound is kept.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
