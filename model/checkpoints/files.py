"""Checkpoint files of any format, as named tensors whose shapes are known before any numbers are read.

`model.checkpoints.weights` calls `open_checkpoint`, which chooses one of `model.checkpoints.readers`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.readers.npz import NpzFile
from model.checkpoints.readers.pth import PthFile
from model.checkpoints.readers.safetensors import SafetensorsFile
from model.errors import CheckpointError

SUFFIXES = (".safetensors", ".npz", ".pth")


class Checkpoint(Protocol):
    """An open checkpoint file of any format.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Every tensor's shape, by its name in the file.
    dtypes : dict of str to dtype
        The type in which the file stores each of them.
    metadata : dict of str to str
        Free text about the model; empty if the format has no metadata.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, np.dtype[Any]]
    metadata: dict[str, str]

    def read(self, name: str) -> NDArray[Any]:
        """Read the tensor `name` in its stored type; an 8-bit matrix is read as float32."""

    def close(self) -> None:
        """Close the file."""


_READERS: dict[str, type[SafetensorsFile] | type[NpzFile] | type[PthFile]] = {
    ".safetensors": SafetensorsFile,
    ".npz": NpzFile,
    ".pth": PthFile,
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn every error of reading a damaged file into a `CheckpointError` that names the file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    CheckpointError
    """
    try:
        yield
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: the file is damaged or has another format: {error}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


@contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open a checkpoint and close it at the end.

    Parameters
    ----------
    path : Path
        The suffix tells the format: ``.safetensors``, ``.npz`` or ``.pth``.

    Yields
    ------
    Checkpoint

    Raises
    ------
    CheckpointError
        The file does not exist, is damaged, or has another format.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CheckpointError(f"{path}: the name of a checkpoint must end in one of {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist. `flask model info` tells how to get weights.")
    with reading(path):
        file: Checkpoint = reader(path)
    try:
        yield file
    finally:
        file.close()
