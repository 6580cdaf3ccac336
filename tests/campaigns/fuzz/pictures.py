"""``make fuzz``, first half: mutated pictures.

Each becomes a picture or a `PictureError`, within 2 seconds of CPU time and 512 MiB; anything else is a
finding, whose file and trace lie under ``build/fuzz``. ``--only N`` repeats one picture.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from config import ROOT
from model.pictures import FORMATS
from tests.campaigns.fuzz import children
from tests.campaigns.fuzz.mutants import mutant
from tests.campaigns.fuzz.seeds import seeds
from tests.campaigns.fuzz.trial import DECODED, MEMORY, Doors, Verdict
from worker.limits import limit_job

COUNT, SEED, PROCESSES = 50_000, 20_260_101, 2
FINDINGS = ROOT / "build" / "fuzz"


@dataclass
class Tally:
    """The results so far."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: list[tuple[int, str]] = field(default_factory=list)
    slowest: Verdict | None = None
    largest: Verdict | None = None

    def add(self, result: Verdict | children.Death) -> None:
        """Count one result."""
        if isinstance(result, children.Death):
            self.findings.append((result.number, result.reason))
            return
        self.outcomes[result.kind][result.outcome] += 1
        if result.finding:
            self.findings.append((result.number, result.finding))
        if self.slowest is None or result.seconds > self.slowest.seconds:
            self.slowest = result
        if self.largest is None or result.memory > self.largest.memory:
            self.largest = result

    def lines(self) -> list[str]:
        """Return the results, one line for each format."""
        codes = sorted({code for counter in self.outcomes.values() for code in counter} - {DECODED})
        lines = [f"{'format':8}{'played':>8}{DECODED:>9}" + "".join(f"{code:>20}" for code in codes)]
        for kind in FORMATS:
            counter = self.outcomes[kind]
            shown = "".join(f"{counter[code]:>20}" for code in codes)
            lines.append(f"{kind:8}{counter.total():>8}{counter[DECODED]:>9}{shown}")
        if self.slowest and self.largest:
            lines.append(f"slowest {self.slowest.seconds:.2f} s of CPU (number {self.slowest.number})")
            lines.append(f"largest {self.largest.memory >> 20} MiB (number {self.largest.number})")
        return lines


def play(numbers: Sequence[int], seed: int, *, processes: int = PROCESSES, bar: bool = False) -> Tally:
    """Try these pictures of a campaign, save the findings and return the tally."""
    seeds()  # made once, for all processes forked from this one
    traces = FINDINGS / "traces"
    traces.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    with tempfile.TemporaryDirectory() as directory:
        doors = Doors(Path(directory))

        def trial(number: int) -> Verdict:
            return doors.play(mutant(seed, number))

        results = children.run(numbers, trial, begin=_begin, processes=processes, traces=traces)
        for result in tqdm(results, total=len(numbers), disable=None if bar else True, mininterval=2.0):
            tally.add(result)
    for number, reason in tally.findings:
        save(seed, number, reason)
    return tally


def _begin() -> None:
    warnings.simplefilter("ignore")  # Pillow warns; what it refuses is an error
    limit_job(MEMORY)


def save(seed: int, number: int, reason: str) -> None:
    """Save a picture that did harm, and what it did."""
    picture = mutant(seed, number)
    path = FINDINGS / f"{seed}-{number}.{picture.kind.lower()}"
    path.write_bytes(picture.data)
    story = f"--seed {seed} --only {number}\n{picture.seed}: {', '.join(picture.steps)}\n\n{reason}"
    path.with_suffix(".txt").write_text(story)


def main() -> int:
    """Run a campaign; return 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", type=int, metavar="N", help="play the picture of this number")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    chosen = parser.parse_args()
    tqdm.monitor_interval = 0  # its thread would exist when processes are forked
    numbers = range(chosen.count) if chosen.only is None else [chosen.only]
    began = time.monotonic()
    tally = play(numbers, chosen.seed, processes=chosen.processes, bar=True)
    print(*tally.lines(), sep="\n")
    print(f"{len(numbers)} pictures, seed {chosen.seed}, {time.monotonic() - began:.0f} s,", end=" ")
    print(f"{len(tally.findings)} findings")
    for number, reason in sorted(tally.findings):
        print(f"--seed {chosen.seed} --only {number}: {reason.strip().splitlines()[-1]}")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
