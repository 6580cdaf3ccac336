"""Reading ``.safetensors`` tensor by tensor, without mapping the file.

The format is a length, a JSON header and raw numbers [1]_. Pages of a mapped file count as the process's
memory until it is closed, as much again as the weights themselves; here each tensor is read straight into its
array.

References
----------
.. [1] https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import CheckpointError

MAX_HEADER_BYTES = 16 << 20
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


class SafetensorsFile:
    """The tensors of an open ``.safetensors`` file.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Every tensor's shape.
    metadata : dict of str to str
        What the file says about itself.

    Raises
    ------
    CheckpointError
        The header is damaged, a tensor lies outside of the file or has a type that is no floating-point
        number.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            header, first = self._read_header()
            self.metadata: dict[str, str] = dict(header.pop("__metadata__", {}))
            size = path.stat().st_size
            self._entries = {name: _entry(name, value, first, size) for name, value in header.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._file.close()
            raise CheckpointError(f"its header is damaged: {error!r}") from error
        except CheckpointError:
            self._file.close()
            raise
        self.shapes = {name: entry.shape for name, entry in self._entries.items()}

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor as a fresh array of its stored type."""
        entry = self._entries[name]
        array: NDArray[Any] = np.empty(entry.shape, entry.dtype)
        self._file.seek(entry.start)
        if self._file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            raise CheckpointError(f"the file ends within {name}.")
        return array

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_header(self) -> tuple[dict[str, Any], int]:
        """Return the header, and where the numbers begin."""
        length = int.from_bytes(self._file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(f"its header claims {length} bytes; this is no .safetensors file.")
        header: dict[str, Any] = json.loads(self._file.read(length))
        return header, 8 + length


def _entry(name: str, value: dict[str, Any], first: int, size: int) -> _Entry:
    if value["dtype"] not in DTYPES:
        raise CheckpointError(f"{name} is {value['dtype']}; float16, float32 and float64 can be read.")
    dtype, shape = np.dtype(DTYPES[value["dtype"]]), tuple(value["shape"])
    start, end = value["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise CheckpointError(f"{name} has a senseless shape or place.")
    if end - start != math.prod(shape) * dtype.itemsize or first + end > size:
        raise CheckpointError(f"{name} of shape {shape} lies partly outside of the file, which is cut off.")
    return _Entry(dtype, shape, first + start)
