"""An indexer and a searcher as processes, for tests that kill or stop them, or limit their disk space.

``python -m tests.support.index_process index WEIGHTS ROOT DIRECTORY`` indexes ROOT and prints a line for
each picture. ``... search DIRECTORY`` searches until standard input ends, reopens the index when it is stale,
and then prints the number of searches and of generations.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Callable
from pathlib import Path

from gallery import Store, build
from model import load_encoder
from model.errors import VitrineError


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def index(weights: str, root: str, directory: str, tell: Callable[[int], object] = say) -> None:
    def progress(done: int, total: int) -> None:
        tell(done)

    build(
        Path(root),
        Path(directory) / "index",
        load_encoder(weights),
        thumbnails_dir=Path(directory) / "thumbnails",
        replace=True,
        batch_size=4,
        workers=2,
        progress=progress,
    )


def search(directory: str) -> None:
    store = Store.open(Path(directory) / "index")
    searches, generations = 0, set()
    while not select.select([sys.stdin], [], [], 0)[0]:
        if store.stale():
            store.close()
            store = Store.open(Path(directory) / "index")
        generation = store.generation
        item = store.catalog.at(searches % len(store))
        found = [hit for hit, _ in store.search(store.feature(item.id), len(store))]
        assert (found[0].sha256, store.generation) == (item.sha256, generation)  # copies have equal scores
        assert sorted(found, key=lambda hit: hit.path) == store.catalog.page(0, len(store))
        searches += 1
        generations.add(generation)
    say(json.dumps({"searches": searches, "generations": len(generations)}))


if __name__ == "__main__":
    try:
        programs: dict[str, Callable[..., None]] = {"index": index, "search": search}
        programs[sys.argv[1]](*sys.argv[2:])
    except VitrineError as error:
        sys.exit(f"Error: {error}")
