"""``make load`` itself: its browsers behave as browsers do, and its verdict reports each missed bound."""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from PIL import Image

from config import ROOT
from tests.campaigns.load import browsing, photographs, watch
from tests.campaigns.load.answers import Answer, Answers, Ended, percentile
from tests.campaigns.load.browsing import Browser
from tests.campaigns.load.figures import lines
from tests.campaigns.load.run import Form, play
from tests.campaigns.load.verdict import AFTER, FLOOD, STEADY, Run, missed
from tests.campaigns.load.watch import Depth, Sample, Use, Watch, edges
from tests.support.servers import free_port

T = TypeVar("T")
TINY = Form(
    warm_up=1.0,
    steady=3.0,
    recovery=60.0,
    pace=2.0,
    browsers=6,
    members=1,
    flood=100,
    uploads=2,
    gallery=12,
    cap=8,
    cap_of_one=3,
)


def sound() -> Run:
    """The measurements of a site that holds: 20 searches in a steady phase, a flood, then quiet."""
    searches = [Ended(STEADY, number % 2, "done", ("a", f"b{number % 2}"), 0.5) for number in range(20)]
    answers = [
        *(Answer(STEADY, "upload", 201, 0.03) for _ in range(20)),
        *(Answer(STEADY, "home", 200, 0.02 + 0.2 * (number < 5)) for number in range(100)),
        Answer(FLOOD, "upload", 429, 0.9, "too_many_pending", "10"),
        Answer(FLOOD, "upload", 503, 0.9, "queue_full", "30"),
        Answer(AFTER, "home", 200, 0.02),
    ]
    samples = [sample("web", second, 100_000 + 100 * second) for second in range(40)]
    return Run(8, 20, 1.0, Answers(AFTER, answers, searches), samples, [Depth(STEADY, 3), Depth(FLOOD, 8)])


def sample(role: str, second: int, resident: int) -> Sample:
    return Sample(STEADY, role, second, Use(resident, 0.25 * second))


def test_a_site_that_holds_is_found_to_hold() -> None:
    assert missed(sound(), timed=True) == []
    assert sound().uses() == {"web": (100_150, 103_750, 0.25)}


def answered(*answers: Answer) -> Callable[[Run], None]:
    return lambda run: run.answers.answers.extend(answers)


def ended(*searches: Ended) -> Callable[[Run], None]:
    return lambda run: run.answers.searches.extend(searches)


def without(phase: str) -> Callable[[Run], None]:
    def remove(run: Run) -> None:
        run.answers.answers[:] = [answer for answer in run.answers.answers if answer.phase != phase]

    return remove


WRONG = {
    "steady: 1 times status 500": answered(Answer(STEADY, "home", 500, 0.02)),
    "steady: 1 times no answer": answered(Answer(STEADY, "status", 0, 30.0)),
    "steady: 1 times status 400 csrf": answered(Answer(STEADY, "upload", 400, 0.02, "csrf")),
    "flood: 1 times status 503 queue_full": answered(Answer(FLOOD, "upload", 503, 0.02, "queue_full")),
    "flood: 1 times status 503 unavailable": answered(Answer(FLOOD, "home", 503, 0.02, "unavailable", "10")),
    "nothing was asked": without(STEADY),
    "21 searches were accepted and 20 were done": answered(Answer(STEADY, "upload", 201, 0.02)),
    "20 searches were accepted and 21 were done": ended(Ended(STEADY, 0, "done", ("a", "b0"), 0.5)),
    "picture 0 has found 2 different things": lambda run: run.answers.searches.__setitem__(
        0, Ended(STEADY, 0, "done", ("b0", "a"), 0.5)
    ),
    "9 searches waited, and the cap is 8": lambda run: run.depths.append(Depth(FLOOD, 9)),
    "-1 searches waited": lambda run: run.depths.clear(),
    "the flood met no 429 too_many_pending": without(FLOOD),
    "the flood met no 503 queue_full": without(FLOOD),
    "after the flood 1 searches were still refused": answered(
        Answer(AFTER, "upload", 503, 0.02, "queue_full", "30")
    ),
    "nothing came after the flood": without(AFTER),
    "worker: the process ended": lambda run: run.samples.append(Sample(FLOOD, "worker", 50.0, None)),
    "no process was looked at": lambda run: run.samples.clear(),
}
SLOW = {
    "home: p95 is 220 ms": answered(Answer(STEADY, "home", 200, 0.3)),
    "19 searches were done in the steady phase, and 20": lambda run: run.answers.searches.pop(),
    "web: memory grew by 5.9%": lambda run: run.samples.extend(
        sample("web", second, 106_180) for second in range(40, 60)
    ),
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_found_in_the_short_form_too(line: str) -> None:
    run = sound()
    WRONG[line](run)
    for timed in (False, True):
        assert any(found.startswith(line) for found in missed(run, timed=timed)), missed(run, timed=timed)


@pytest.mark.parametrize("line", SLOW)
def test_what_is_slow_is_found_in_the_long_form(line: str) -> None:
    run = sound()
    SLOW[line](run)
    assert any(found.startswith(line) for found in missed(run, timed=True)), missed(run, timed=True)
    assert not any(found.startswith(line) for found in missed(run, timed=False))


def test_percentiles_and_edges_are_those_of_the_books() -> None:
    assert percentile([15, 20, 35, 40, 50], 0.3) == 20
    assert [percentile(range(1, 101), share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7], 0.01) == 7
    assert edges([1, 1, 5] + [9] * 24 + [2, 2, 2]) == (1, 2)


def test_browsers_pause_as_the_pages_script_does() -> None:
    script = (ROOT / "app" / "static" / "js" / "poll.js").read_text()
    said = {name: float(value) for name, value in re.findall(r"^const (\w+) = ([\d.]+);", script, re.M)}
    assert said["FIRST"] == browsing.FIRST_PAUSE * 1000
    assert said["LONGEST"] == browsing.LONGEST_PAUSE * 1000
    assert said["GROWTH"] == browsing.GROWTH


def test_pictures_are_large_and_no_two_uploads_are_the_same_file() -> None:
    (first, *_), size = photographs.uploads(1), photographs.SIZES[0]
    one, two = (photographs.numbered(first, number) for number in (1, 2))
    assert len({first, one, two}) == 3
    assert Image.open(io.BytesIO(one)).size == size
    assert Image.open(io.BytesIO(one)).tobytes() == Image.open(io.BytesIO(first)).tobytes()
    assert len(first) > 200_000


def test_a_process_that_ends_is_seen_to_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert watch.use(process.pid)
        process.communicate(b"\n")
    assert watch.use(process.pid) is None
    before = watch.use(os.getpid())
    sum(number * number for number in range(3_000_000))
    after = watch.use(os.getpid())
    assert before is not None
    assert after is not None
    assert before.resident > 10_000
    assert 0 < after.cpu - before.cpu < 60


def test_what_goes_wrong_while_watching_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "DEPTH_EVERY", 0.01)
    with pytest.raises(ZeroDivisionError), Watch({}, lambda: 1 // 0, lambda: STEADY) as watching:
        watching.thread.join(10)


def by_itself(ask: Callable[[], T]) -> T:
    """Call in another thread: in this one Playwright leaves its loop running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


def test_a_site_that_is_not_there_gives_no_answer() -> None:
    answers = Answers(STEADY)

    async def ask() -> None:
        async with Browser(f"http://127.0.0.1:{free_port()}", answers, [], 0) as browser:
            assert await browser.token() == ""

    by_itself(lambda: asyncio.run(ask()))
    assert [(answer.kind, answer.status, answer.good) for answer in answers.answers] == [("home", 0, False)]


def test_a_few_browsers_and_a_small_flood_are_played_for_real() -> None:
    run = by_itself(lambda: play(TINY))
    assert missed(run, timed=False) == []
    kinds = run.answers.kinds(STEADY)
    assert {"home", "upload", "waiting", "status", "results", "picture"} <= set(kinds)
    assert len(kinds["status"]) > len(kinds["upload"])
    assert {each.role for each in run.samples} == {
        "web",
        "worker",
        "reconciler",
        "searcher 1",
        "searcher 2",
    }
    assert sum(answer.kind == "upload" for answer in run.answers.of(FLOOD)) == TINY.flood
    assert max(depth.pending for depth in run.depths) == TINY.cap
    assert all(taken.first > 10_000 for taken in run.uses().values())
    report = "\n".join(lines(run))
    assert "| steady | home |" in report
    assert "queue_full" in report
