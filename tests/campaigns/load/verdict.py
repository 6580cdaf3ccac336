"""The verdict on a load run: each figure against its bound, one line of text for each missed one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.campaigns.load.answers import REFUSALS, Answers, percentile
from tests.campaigns.load.watch import Depth, Sample, Use, edges

PAGE_SECONDS = 0.100  # for 95 of 100 answers of each kind
GROWTH = 0.05
PACE = 0.98  # of the searches that were to be sent
WARM_UP, STEADY, LAST_VISITS = "warm-up", "steady", "last visits"
FLOOD, RECOVERY, AFTER = "flood", "recovery", "after"
PHASES = (WARM_UP, STEADY, LAST_VISITS, FLOOD, RECOVERY, AFTER)
ONCE = frozenset({"sign up"})  # kinds of requests outside a visit


class Taken(NamedTuple):
    """Resident memory in KiB, at the start and at the end, and the share of one core."""

    first: int
    last: int
    core: float


@dataclass
class Run:
    """What was planned and what was measured.

    `planned` counts the searches of the steady phase, `recovery` is how many seconds after the flood all that
    had been accepted were done.
    """

    cap: int
    planned: int
    recovery: float = 0.0
    answers: Answers = field(default_factory=Answers)
    samples: list[Sample] = field(default_factory=list)
    depths: list[Depth] = field(default_factory=list)

    def uses(self) -> dict[str, Taken]:
        """Return what each process used in the steady phase."""
        roles: dict[str, list[tuple[float, Use]]] = defaultdict(list)
        for sample in self.samples:
            if sample.phase == STEADY and sample.use is not None:
                roles[sample.role].append((sample.seconds, sample.use))
        return {role: _taken(found) for role, found in roles.items()}


def missed(run: Run, *, timed: bool) -> list[str]:
    """Return what was missed, one line each.

    Parameters
    ----------
    run : Run
        What was seen.
    timed : bool
        Whether times, pace and memory are judged too, which takes a long run on a quiet machine.
    """
    judges = [_answers, _searches, _queue, _flood, _recovery, _alive]
    judges += [_seconds, _pace, _growth] if timed else []
    return [line for judge in judges for line in judge(run)]


def _answers(run: Run) -> Iterator[str]:
    wrong = Counter((a.phase, a.kind, a.status, a.code) for a in run.answers.answers if not a.good)
    for (phase, kind, status, code), count in sorted(wrong.items()):
        said = f"status {status} {code}".strip() if status else "no answer"
        yield f"{phase}: {count} times {said}, without an honest refusal ({kind})"
    if not run.answers.of(STEADY):
        yield "nothing was asked"


def _searches(run: Run) -> Iterator[str]:
    accepted = sum(a.kind == "upload" and a.status == 201 for a in run.answers.answers)
    done = sum(search.status == "done" for search in run.answers.searches)
    if done != accepted:
        ends = Counter(search.status or "no end seen" for search in run.answers.searches)
        yield f"{accepted} searches were accepted and {done} were done: {dict(ends)}"
    found: dict[int, set[tuple[str, ...]]] = defaultdict(set)
    for search in run.answers.searches:
        if search.status == "done":
            found[search.picture].add(search.found)
    for picture, answers in sorted(found.items()):
        if len(answers) > 1 or () in answers:
            yield f"picture {picture} has found {len(answers)} different things"


def _queue(run: Run) -> Iterator[str]:
    deepest = max((depth.pending for depth in run.depths), default=-1)
    if not 0 <= deepest <= run.cap:
        yield f"{deepest} searches waited, and the cap is {run.cap}"


def _flood(run: Run) -> Iterator[str]:
    refused = {answer.status for answer in run.answers.of(FLOOD) if answer.refusal}
    for status, code in REFUSALS.items():
        if status not in refused:
            yield f"the flood met no {status} {code}"


def _recovery(run: Run) -> Iterator[str]:
    came = run.answers.of(AFTER)
    if not came:
        yield "nothing came after the flood"
    if refused := sum(answer.refusal for answer in came):
        yield f"after the flood {refused} searches were still refused"


def _alive(run: Run) -> Iterator[str]:
    if not run.samples:
        yield "no process was looked at"
    for role in sorted({sample.role for sample in run.samples if sample.use is None}):
        yield f"{role}: the process ended"


def _seconds(run: Run) -> Iterator[str]:
    for kind, seconds in run.answers.kinds(STEADY).items():
        slow = percentile(seconds, 0.95)
        if kind not in ONCE and slow > PAGE_SECONDS:
            yield f"{kind}: p95 is {slow * 1000:.0f} ms, above {PAGE_SECONDS * 1000:.0f} ms"


def _pace(run: Run) -> Iterator[str]:
    done = sum(search.phase == STEADY and search.status == "done" for search in run.answers.searches)
    if done < PACE * run.planned:
        yield f"{done} searches were done in the steady phase, and {run.planned} were planned"


def _growth(run: Run) -> Iterator[str]:
    for role, (first, last, _) in run.uses().items():
        if last > first * (1 + GROWTH):
            yield f"{role}: memory grew by {last / first - 1:.1%}, from {first >> 10} to {last >> 10} MiB"


def _taken(found: list[tuple[float, Use]]) -> Taken:
    first, last = edges([use.resident for _, use in found])
    elapsed = found[-1][0] - found[0][0]
    return Taken(first, last, (found[-1][1].cpu - found[0][1].cpu) / elapsed if elapsed else 0.0)
