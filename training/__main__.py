"""``python -m training PACKS OUT --hours 8``: from a folder of packs to a checkpoint and its card."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from training.clock import Budget
from training.packs import load_packs
from training.recipe import Recipe
from training.run import publish, train


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("packs", type=Path, metavar="PACKS")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for state, log and checkpoint")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=float, help="of work; of a pause, a minute counts at most")
    length.add_argument("--steps", type=int)
    parser.add_argument("--init", type=Path, help="a checkpoint of the same shape to begin with")
    parser.add_argument("--processes", type=int, help="on a CPU: as many as it has cores, unless given")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args(arguments)
    changes = {
        name: value for name in ("lr", "batch", "seed") if (value := getattr(options, name)) is not None
    }
    recipe = replace(Recipe(), **changes)
    options.out.mkdir(parents=True, exist_ok=True)
    budget, packs = Budget(options.hours, options.steps), load_packs(options.packs)
    train(recipe, packs, options.out, budget, options.init, options.processes)
    print(publish(recipe, packs, options.out, options.init))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
