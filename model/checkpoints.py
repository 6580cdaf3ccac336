"""Checkpoint files: named tensors with shapes that are known before anything is read."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from numpy.lib import format as npy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from model.errors import CheckpointError
from model.pth import PthFile

SUFFIXES = (".safetensors", ".npz", ".pth")


class Checkpoint(Protocol):
    """An open checkpoint file of any format.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Every tensor's shape, by its name in the file.
    metadata : dict of str to str
        What the file says about itself; empty where the format has no place for it.
    """

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor in its stored type."""

    def close(self) -> None:
        """Close the file."""


class SafetensorsFile:
    """The tensors of an open ``.safetensors`` file; see `Checkpoint`."""

    def __init__(self, path: Path) -> None:
        file: Any = safe_open(path, framework="np")
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        self.shapes = {name: tuple(tensor.get_shape()) for name, tensor in slices.items()}
        self.metadata: dict[str, str] = dict(file.metadata() or {})
        self._file = file
        for name, tensor in slices.items():
            if tensor.get_dtype() not in ("F16", "F32", "F64"):
                raise CheckpointError(
                    f"{name} is {tensor.get_dtype()}; float16, float32 and float64 can be read."
                )

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor in its stored type."""
        tensor: NDArray[Any] = self._file.get_tensor(name)
        return tensor

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)


class NpzFile:
    """The arrays of an open ``.npz`` file; see `Checkpoint`. Pickled arrays are refused."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        entries = [name for name in self._zip.namelist() if name.endswith(".npy")]
        self.shapes = {name.removesuffix(".npy"): self._read_shape(name) for name in entries}
        self.metadata: dict[str, str] = {}

    def read(self, name: str) -> NDArray[Any]:
        """Read one array in its stored type."""
        with self._zip.open(f"{name}.npy") as file:
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return array

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _read_shape(self, entry: str) -> tuple[int, ...]:
        with self._zip.open(entry) as file:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_header(file)
        if dtype.kind != "f":
            raise CheckpointError(f"{entry} holds {dtype}, not floating-point numbers.")
        return tuple(shape)


_READERS: dict[str, type[SafetensorsFile] | type[NpzFile] | type[PthFile]] = {
    ".safetensors": SafetensorsFile,
    ".npz": NpzFile,
    ".pth": PthFile,
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into one kind of error that names the file.

    Raises
    ------
    CheckpointError
    """
    try:
        yield
    except (SafetensorError, zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: the file is damaged or of another format: {error}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


@contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open a checkpoint and close it at the end.

    Parameters
    ----------
    path : Path
        Its suffix tells the format: ``.safetensors``, ``.npz`` or ``.pth``.

    Yields
    ------
    Checkpoint

    Raises
    ------
    CheckpointError
        There is no such file, or it is damaged or of another format.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise CheckpointError(f"{path}: a checkpoint ends in one of {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file. `flask model info` says how to get weights.")
    with reading(path):
        file: Checkpoint = reader(path)
    try:
        yield file
    finally:
        file.close()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
