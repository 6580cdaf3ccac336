"""One training, from packs to a checkpoint with its card."""

from __future__ import annotations

import os
from pathlib import Path

from training.card import write_card
from training.clock import Budget
from training.export import export
from training.network import Network
from training.recipe import Recipe
from training.state import Progress, read_state
from training.trainer import STATE, Material, Trainer


def train(recipe: Recipe, material: Material, out: Path, budget: Budget, init: Path | None = None) -> None:
    """Train to the end of the budget, from the last state in `out` if there is one.

    Parameters
    ----------
    recipe : Recipe
    material : Material
    out : Path
        Folder for state and log.
    budget : Budget
    init : Path, optional
        Checkpoint of the recipe's shape to begin with.
    """
    Trainer(recipe, material, out, init).run(budget)


def publish(recipe: Recipe, material: Material, out: Path, init: Path | None) -> Path:
    """Export the averaged weights of the state in `out` into it, and write the card.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    RuntimeError
        NumPy and PyTorch disagree about the exported model.
    """
    state = read_state(out / STATE)
    network = Network(recipe.config)
    network.load_state_dict(state["averaged"])
    path = export(network, out)
    progress = Progress(**state["progress"])
    write_card(path, recipe, material, progress, init, f"{os.cpu_count()} CPU cores")
    return path
