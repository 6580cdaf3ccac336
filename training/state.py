"""The state of a training on disk: all that the next step depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from model.files import replacing
from training.student import Student
from training.targets import Queue, Rows


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    step : int
    seconds : float
        Spent by all runs so far.
    pictures : int
        Seen by the teacher.
    views : int
        Seen by the student.
    """

    step: int = 0
    seconds: float = 0.0
    pictures: int = 0
    views: int = 0


@dataclass
class Memory:
    """What a training carries from step to step, besides the student.

    Attributes
    ----------
    averaged : dict of str to Tensor
        The network's weights, averaged.
    mean : Tensor, shape (C,)
        Of the teacher's features.
    queue : Queue
    progress : Progress
    """

    averaged: dict[str, Tensor]
    mean: Tensor
    queue: Queue
    progress: Progress


def save_state(path: Path, student: Student, optimiser: Optimizer, memory: Memory) -> None:
    """Write the state beside `path` and move it there, so that a kill at any time leaves a whole one."""
    queue = memory.queue
    state = {
        "student": student.state_dict(),
        "optimiser": optimiser.state_dict(),
        "averaged": memory.averaged,
        "mean": memory.mean,
        "queue": None if queue.rows is None else {"vectors": queue.vectors, **queue.rows._asdict()},
        "progress": asdict(memory.progress),
    }
    with replacing(path) as file:
        torch.save(state, file)


def load_state(path: Path, student: Student, optimiser: Optimizer, memory: Memory) -> None:
    """Take up the state in `path`."""
    state = read_state(path)
    student.load_state_dict(state["student"])
    optimiser.load_state_dict(state["optimiser"])
    memory.averaged, memory.mean = state["averaged"], state["mean"]
    if (queue := state["queue"]) is not None:
        memory.queue.add(queue.pop("vectors"), Rows(**queue))
    memory.progress = Progress(**state["progress"])


def read_state(path: Path) -> dict[str, Any]:
    """Read a state; tensors and plain numbers only."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
