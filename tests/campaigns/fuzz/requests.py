"""``make fuzz``, second half: generated requests against every route, with a real database and Redis.

Nothing may end in a server error, save an honest 503 with Retry-After; nothing may be logged as an error; no
text that was sent may come back as a script or a header. Every fifth hundred is sent while Redis is away.
``--only N`` sends one request again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from tests.campaigns.fuzz.calls import request, targets
from tests.campaigns.fuzz.pictures import FINDINGS, SEED
from tests.campaigns.fuzz.world import World
from tests.support.postgres import postgres_server
from tests.support.servers import redis_server

COUNT = 10_000
BLOCK, REDIS_AWAY = 100, 4  # of each five blocks, the last


def play(world: World, numbers: Sequence[int], seed: int, *, bar: bool = False) -> dict[int, str]:
    """Send these requests of a campaign; return what was wrong, by number."""
    turns = targets(world.app.url_map)
    found: dict[int, str] = {}
    with tqdm(total=len(numbers), disable=None if bar else True, mininterval=2.0) as progress:
        for away, block in _blocks(numbers):
            world.renew()
            with world.without_redis() if away else contextlib.nullcontext():
                for number in block:
                    sent = request(seed, number, turns, world.callers)
                    if problem := world.ask(sent):
                        found[number] = problem
                        save(seed, number, f"{problem}\n\n{sent.story()}")
            progress.update(len(block))
    return found


def save(seed: int, number: int, story: str) -> None:
    """Save a request that did harm, and what it did."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    path = FINDINGS / f"request-{seed}-{number}.txt"
    path.write_text(f"--seed {seed} --only {number}\n\n{story}\n", errors="backslashreplace")


@contextlib.contextmanager
def world(database: str) -> Iterator[World]:
    """An application on ``sqlite`` or ``postgresql``, until the block ends."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        url = stack.enter_context(postgres_server()).url if database == "postgresql" else ""
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        made = World(Path(directory), redis, url)
        stack.callback(made.close)
        yield made


def main() -> int:
    """Run a campaign; return 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", type=int, metavar="N", help="send the request of this number")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's warnings about mutated pictures
    numbers = range(chosen.count) if chosen.only is None else [chosen.only]
    began = time.monotonic()
    with world(chosen.database) as asked:
        found = play(asked, numbers, chosen.seed, bar=True)
        print(f"{len(asked.reached)} of {len(asked.routes)} routes and methods reached")
    print(f"{len(numbers)} requests, seed {chosen.seed}, {chosen.database},", end=" ")
    print(f"{time.monotonic() - began:.0f} s, {len(found)} findings")
    for number, problem in found.items():
        print(f"--seed {chosen.seed} --only {number}: {problem.strip().splitlines()[-1]}")
    return 1 if found else 0


def _blocks(numbers: Sequence[int]) -> Iterator[tuple[bool, Sequence[int]]]:
    """Divide the numbers where Redis starts or stops."""
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] // BLOCK != numbers[start] // BLOCK:
            yield numbers[start] // BLOCK % 5 == REDIS_AWAY, numbers[start:end]
            start = end


if __name__ == "__main__":
    sys.exit(main())
