"""What came back under load: every answer, and the outcome of every search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

NO_ANSWER = 0  # instead of a status: the connection broke, or nothing came in time
REFUSALS = {429: "too_many_pending", 503: "queue_full"}  # statuses of a proper refusal, and their codes


class Answer(NamedTuple):
    """One complete answer: `seconds` from the first byte sent to the last one received."""

    phase: str
    kind: str
    status: int
    seconds: float
    code: str = ""
    retry_after: str = ""

    @property
    def refusal(self) -> bool:
        """Return whether it says that too many searches wait, and when to retry."""
        return REFUSALS.get(self.status) == self.code and self.retry_after.isdigit()

    @property
    def good(self) -> bool:
        """Return whether it is what was asked for, or a proper refusal."""
        return 200 <= self.status < 400 or self.refusal


class Ended(NamedTuple):
    """One search that was accepted: in which phase it was seen to have ended, how, what it found, best first,
    and how many seconds after it was sent.

    `status` is empty where no end was seen.
    """

    phase: str
    picture: int
    status: str
    found: tuple[str, ...]
    seconds: float


@dataclass
class Answers:
    """All answers of a run; `phase` is the current phase."""

    phase: str = ""
    answers: list[Answer] = field(default_factory=list)
    searches: list[Ended] = field(default_factory=list)

    def of(self, phase: str) -> list[Answer]:
        """Return the answers of one phase."""
        return [answer for answer in self.answers if answer.phase == phase]

    def kinds(self, phase: str) -> dict[str, list[float]]:
        """Return the seconds of a phase's good answers, refusals left out, by kind."""
        kinds: dict[str, list[float]] = {}
        for answer in self.of(phase):
            if answer.good and not answer.refusal:
                kinds.setdefault(answer.kind, []).append(answer.seconds)
        return kinds


def percentile(values: Iterable[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]
