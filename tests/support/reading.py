"""Read a whole checkpoint file in a test, or expect that it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import CheckpointError
from model.checkpoints.files import open_checkpoint, reading
from tests.support.checkpoints import Tensors


def read_all(path: Path) -> Tensors:
    """Read every tensor of a file."""
    with open_checkpoint(path) as file, reading(path):
        return {name: file.read(name) for name in file.shapes}


def refusal(path: Path) -> str:
    """Read every tensor of a file, expect a refusal, and return its message."""
    with pytest.raises(CheckpointError) as refused:
        read_all(path)
    return str(refused.value)
