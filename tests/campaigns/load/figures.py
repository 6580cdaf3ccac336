"""The measurements of a load run as tables, for the terminal and for a document."""

from __future__ import annotations

from collections.abc import Iterator

from tests.campaigns.load.answers import REFUSALS, percentile
from tests.campaigns.load.verdict import FLOOD, PHASES, STEADY, Run

SHARES = (0.50, 0.95, 0.99, 1.0)


def lines(run: Run) -> Iterator[str]:
    """Yield the lines of a report."""
    yield from _times(run)
    yield ""
    yield from _uses(run)
    yield ""
    yield from _rest(run)


def _times(run: Run) -> Iterator[str]:
    yield "| phase | answers of | count | p50 ms | p95 ms | p99 ms | most ms |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for phase in PHASES:
        for kind, seconds in sorted(run.answers.kinds(phase).items()):
            shown = " | ".join(f"{percentile(seconds, share) * 1000:.0f}" for share in SHARES)
            yield f"| {phase} | {kind} | {len(seconds):,} | {shown} |"


def _uses(run: Run) -> Iterator[str]:
    yield "| process | MiB at the beginning | MiB at the end | growth | of a core |"
    yield "| --- | --- | --- | --- | --- |"
    for role, (first, last, core) in run.uses().items():
        yield f"| {role} | {first / 1024:.1f} | {last / 1024:.1f} | {last / first - 1:+.1%} | {core:.2f} |"


def _rest(run: Run) -> Iterator[str]:
    steady = [each.seconds for each in run.answers.searches if each.phase == STEADY and each.status == "done"]
    if steady:
        shown = ", ".join(f"{percentile(steady, share):.2f}" for share in SHARES)
        yield f"searches: {len(steady):,} of {run.planned:,} done; seen done {shown} s after sending"
        yield "(p50, p95, p99 and the most)"
    for phase in (STEADY, FLOOD):
        depths = [depth.pending for depth in run.depths if depth.phase == phase]
        yield f"{phase}: at most {max(depths, default=0)} searches waited or ran; the cap is {run.cap}"
    uploads = [answer for answer in run.answers.of(FLOOD) if answer.kind == "upload"]
    accepted = sum(answer.status == 201 for answer in uploads)
    told = ", ".join(f"{sum(answer.code == code for answer in uploads)} {code}" for code in REFUSALS.values())
    yield f"flood: {len(uploads)} sent, {accepted} accepted, {told}; all done {run.recovery:.0f} s later"
