"""From packs to a checkpoint: ``python -m training PACKS OUT --pictograms DIR DIR --hours 8``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from training.clock import Budget
from training.packs import Photographs
from training.pictograms import Pictograms
from training.recipe import Recipe
from training.run import publish, train
from training.teacher import load_teacher
from training.trainer import Material


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("packs", type=Path, metavar="PACKS", help="folder of *.tar with CLASS/FILE.jpg")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for state, log and checkpoint")
    parser.add_argument(
        "--pictograms",
        type=Path,
        nargs="+",
        metavar="DIR",
        required=True,
        help="one folder of CODE.png for each vendor, two at least",
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=float, help="of work; a pause counts for one minute at most")
    length.add_argument("--steps", type=int)
    parser.add_argument("--init", type=Path, help="a checkpoint of the same shape to begin with")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--frozen", type=int, help="blocks that keep their weights")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args(arguments)
    given = {name: getattr(options, name) for name in ("lr", "frozen", "seed")}
    recipe = replace(Recipe(), **{name: value for name, value in given.items() if value is not None})
    options.out.mkdir(parents=True, exist_ok=True)
    pictograms, budget = Pictograms(options.pictograms), Budget(options.hours, options.steps)
    with Photographs(options.packs, recipe.shares) as photographs:
        material = Material(photographs, pictograms, load_teacher())
        train(recipe, material, options.out, budget, options.init)
        print(publish(recipe, material, options.out, options.init))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
