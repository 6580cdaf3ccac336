"""Reader of PyTorch's ``.pth``, a zip of raw storages and a pickled table of the tensors in them.

PyTorch is not needed, and the pickle is parsed without being executed (`statedict`).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.readers.statedict import Storage, read_state_dict
from model.errors import CheckpointError

MAX_PICKLE_BYTES = 16 << 20  # dinov2-giant's pickle has 0.1 MB
MAX_STORAGE_BYTES = 1 << 36


class PthFile:
    """The tensors of an open ``.pth`` file.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Every tensor's shape.
    dtypes : dict of str to dtype
        Every tensor's stored type.
    metadata : dict of str to str
        Always empty: the format has no metadata.

    Raises
    ------
    CheckpointError
        The file is not a ``.pth``, or holds anything other than a dictionary of tensors.
    zipfile.BadZipFile
        The zip is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._entries = {info.filename: info for info in self._zip.infolist()}
        self._root = self._find_root()
        self._tensors = read_state_dict(self._read_entry("data.pkl", MAX_PICKLE_BYTES))
        self._last: tuple[Storage, NDArray[Any]] | None = None
        self.shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        self.dtypes = {name: np.dtype(tensor.storage.dtype) for name, tensor in self._tensors.items()}
        self.metadata: dict[str, str] = {}

    def read(self, name: str) -> NDArray[Any]:
        """Read the tensor `name` as a new array of its stored type.

        Raises
        ------
        CheckpointError
            The tensor's storage is missing or too short.
        """
        tensor = self._tensors[name]
        numbers = self._read_storage(tensor.storage)
        if tensor.extent > numbers.size:
            raise CheckpointError(f"{name} reaches beyond the end of its storage; the file is damaged.")
        strides = [step * numbers.itemsize for step in tensor.strides]
        return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides).copy()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def _find_root(self) -> str:
        roots = [name.removesuffix("data.pkl") for name in self._entries if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise CheckpointError("the zip is not a PyTorch checkpoint: it must have exactly one data.pkl.")
        order = self._entries.get(f"{roots[0]}byteorder")
        if order and self._zip.read(order) != b"little":
            raise CheckpointError("the checkpoint was written on a big-endian machine; convert it there.")
        return roots[0]

    def _read_entry(self, name: str, limit: int) -> bytes:
        entry = self._entries.get(self._root + name)
        if entry is None:
            raise CheckpointError(f"{name} is missing in the zip; the file is incomplete.")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > limit:
            raise CheckpointError(f"{name} in the zip is compressed, or larger than in any real checkpoint.")
        return self._zip.read(entry)

    def _read_storage(self, storage: Storage) -> NDArray[Any]:
        # Keep the last one: tensors that share a storage follow each other.
        if self._last is None or self._last[0] != storage:
            raw = self._read_entry(f"data/{storage.key}", MAX_STORAGE_BYTES)
            dtype = np.dtype(storage.dtype)
            self._last = storage, np.frombuffer(raw, dtype, count=len(raw) // dtype.itemsize)
        return self._last[1]
