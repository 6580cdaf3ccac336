"""Reader of ``.npz``, a zip of NumPy arrays whose headers contain their shapes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from model.errors import CheckpointError


class NpzFile:
    """The arrays of an open ``.npz`` file.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Every array's shape.
    dtypes : dict of str to dtype
        Every array's stored type.
    metadata : dict of str to str
        Always empty: the format has no metadata.

    Raises
    ------
    CheckpointError
        An array does not hold floating-point numbers. Pickled arrays are refused by this, too.
    ValueError, zipfile.BadZipFile
        The zip or an array's header is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        entries = [name for name in self._zip.namelist() if name.endswith(".npy")]
        headers = {name.removesuffix(".npy"): self._read_header(name) for name in entries}
        self.shapes = {name: shape for name, (shape, _) in headers.items()}
        self.dtypes = {name: dtype for name, (_, dtype) in headers.items()}
        self.metadata: dict[str, str] = {}

    def read(self, name: str) -> NDArray[Any]:
        """Read the array `name` in its stored type."""
        with self._zip.open(f"{name}.npy") as file:
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return array

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _read_header(self, entry: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._zip.open(entry) as file:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_header(file)
        if dtype.kind != "f":
            eight = "; 8-bit matrices can be stored in .safetensors only" if dtype == np.int8 else ""
            raise CheckpointError(f"{entry} holds {dtype}, not floating-point numbers{eight}.")
        return tuple(shape), dtype
