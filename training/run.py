"""One training, in as many processes as the machine is good for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing

from model.config import CHANNELS
from training.card import write_card
from training.clock import Budget
from training.export import difference, export
from training.network import Network
from training.packs import Pack
from training.processes import Together
from training.recipe import Recipe
from training.state import load_state
from training.trainer import STATE, Data, Trainer, gather
from training.warm import centre, warm_start

MAX_DIFFERENCE = 1e-5  # 1 - cosine, that rounding to float16 may come to


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
    device = choose_device()
    count = 1 if device == "cuda" else processes or os.cpu_count() or 1
    data = gather(packs, recipe)
    with tempfile.TemporaryDirectory() as folder:
        job = (count, recipe, data, out, budget, init, Path(folder) / "meeting", device)
        if count == 1:
            _work(0, *job)
        else:
            torch.multiprocessing.spawn(_work, job, nprocs=count)


def choose_device() -> str:
    """Return ``cuda`` where there is one, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def publish(recipe: Recipe, packs: Sequence[Pack], out: Path, init: Path | None) -> Path:
    """Export the state in `out` into it, check what NumPy makes of it, and write the card.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    RuntimeError
        NumPy and PyTorch disagree about the exported model.
    """
    network = Network(recipe.config)
    progress = load_state(out / STATE, network)
    path = export(network, out, recipe.resize)
    side = recipe.config.image_size
    pixels = np.random.default_rng(recipe.seed).standard_normal((4, CHANNELS, side, side), np.float32)
    if (found := difference(network, path, pixels)) > MAX_DIFFERENCE:
        raise RuntimeError(
            f"{path} gives other features than the network it was made of: 1 - cosine {found:.1e}"
        )
    gpu = choose_device() == "cuda"
    device = torch.cuda.get_device_name() if gpu else f"{os.cpu_count()} CPU cores"
    write_card(path, recipe, packs, progress, init, device)
    return path


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
