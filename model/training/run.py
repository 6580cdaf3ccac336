"""One training, in as many processes as the machine is good for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.multiprocessing

from model.training.packs import Pack
from model.training.processes import Together
from model.training.recipe import Recipe
from model.training.trainer import STATE, Budget, Data, Trainer, gather
from model.training.warm import centre, warm_start


def train(
    recipe: Recipe,
    packs: Sequence[Pack],
    out: Path,
    budget: Budget,
    init: Path | None = None,
    processes: int | None = None,
) -> None:
    """Train to the end of the budget, from the last state in `out` if there is one.

    Parameters
    ----------
    recipe : Recipe
    packs : sequence of Pack
    out : Path
        Folder for state and log.
    budget : Budget
    init : Path, optional
        Checkpoint of the recipe's shape to begin with.
    processes : int, optional
        On a CPU, as many as it has cores unless given; a GPU is used by one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    count = 1 if device == "cuda" else processes or os.cpu_count() or 1
    data = gather(packs, recipe)
    with tempfile.TemporaryDirectory() as folder:
        job = (count, recipe, data, out, budget, init, Path(folder) / "meeting", device)
        if count == 1:
            _work(0, *job)
        else:
            torch.multiprocessing.spawn(_work, job, nprocs=count)


def _work(
    rank: int,
    count: int,
    recipe: Recipe,
    data: Data,
    out: Path,
    budget: Budget,
    init: Path | None,
    meeting: Path,
    device: str,
) -> None:
    if count > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    together = Together(rank, count, meeting)
    trainer = Trainer(recipe, data, out, together, torch.device(device))
    if init is not None and not (out / STATE).exists():
        if rank == 0:
            warm_start(trainer.network, init)
            centre(trainer.network, trainer.head, trainer.data, recipe.config.image_size, bf16=trainer.bf16)
        together.share(trainer.parameters)
    trainer.run(budget)
    together.close()
