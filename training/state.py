"""The state of a training on disk: network, class table, optimisers, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from model.files import replacing


class Progress:
    """How far a training has come.

    Attributes
    ----------
    step : int
    seconds : float
        Spent by all runs so far.
    pictures : int
    """

    def __init__(self, step: int = 0, seconds: float = 0.0, pictures: int = 0) -> None:
        self.step, self.seconds, self.pictures = step, seconds, pictures


def save_state(
    path: Path, network: nn.Module, head: nn.Module, optimisers: Sequence[Optimizer], progress: Progress
) -> None:
    """Write the state beside `path` and move it there, so that a kill at any time leaves a whole one."""
    state = {
        "network": network.state_dict(),
        "head": head.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "progress": vars(progress),
    }
    with replacing(path, draft=path.with_name(f".{path.name}.part")) as file:
        torch.save(state, file)


def load_state(
    path: Path, network: nn.Module, head: nn.Module | None = None, optimisers: Sequence[Optimizer] = ()
) -> Progress:
    """Take up the state in `path`, or of the network alone; a new beginning where there is none."""
    if not path.exists():
        return Progress()
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    if head is not None:
        head.load_state_dict(state["head"])
    for optimiser, values in zip(optimisers, state["optimisers"], strict=bool(optimisers)):
        optimiser.load_state_dict(values)
    return Progress(**state["progress"])
