"""Reader of ``.safetensors``, tensor by tensor, without mapping the file.

The format is a length, a JSON header and raw numbers [1]_. The pages of a mapped file would count as memory
of the process until it is closed, as much again as the weights; here each tensor is read directly into its
array.

A matrix may be stored in 8 bits (``I8``) beside a float32 tensor with one scale for each row, whose name ends
in ``.scale``; it is read as their product, a few rows at a time.

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

from model.checkpoints.storage import SCALE, check_scale, dequantise
from model.errors import CheckpointError

MAX_HEADER_BYTES = 16 << 20
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "<i1"}


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
        Every tensor's shape; the scales of 8-bit matrices are part of these and not listed.
    dtypes : dict of str to dtype
        Every tensor's stored type.
    metadata : dict of str to str
        Free text about the model.

    Raises
    ------
    CheckpointError
        The header is damaged, or a tensor lies outside the file, has an unsupported type, or is stored in 8
        bits without a scale for each row.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            header, first = self._read_header()
            self.metadata: dict[str, str] = dict(header.pop("__metadata__", {}))
            size = path.stat().st_size
            self._entries = {name: _entry(name, value, first, size) for name, value in header.items()}
            scales = _scales(self._entries)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._file.close()
            raise CheckpointError(f"its header is damaged: {error!r}") from error
        except CheckpointError:
            self._file.close()
            raise
        tensors = {name: entry for name, entry in self._entries.items() if name not in scales}
        self.shapes = {name: entry.shape for name, entry in tensors.items()}
        self.dtypes = {name: entry.dtype for name, entry in tensors.items()}

    def read(self, name: str) -> NDArray[Any]:
        """Read the tensor `name` as a new array of its stored type; an 8-bit matrix is read as float32."""
        entry = self._entries[name]
        if entry.dtype == np.int8:
            return self._read_scaled(name, entry)
        array: NDArray[Any] = np.empty(entry.shape, entry.dtype)
        self._file.seek(entry.start)
        self._fill(array, name)
        return array

    def _read_scaled(self, name: str, entry: _Entry) -> NDArray[np.float32]:
        scale = self.read(name + SCALE)
        try:
            check_scale(scale)
        except CheckpointError as error:
            raise CheckpointError(f"{name}{SCALE}: {error}") from error
        self._file.seek(entry.start)
        return dequantise(entry.shape, scale, lambda rows: self._fill(rows, name))

    def _fill(self, array: NDArray[Any], name: str) -> None:
        if self._file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            raise CheckpointError(f"the file ends within {name}.")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_header(self) -> tuple[dict[str, Any], int]:
        """Return the header and the offset of the numbers."""
        length = int.from_bytes(self._file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(f"its header claims {length} bytes; this is not a .safetensors file.")
        header: dict[str, Any] = json.loads(self._file.read(length))
        return header, 8 + length


def _entry(name: str, value: dict[str, Any], first: int, size: int) -> _Entry:
    if value["dtype"] not in DTYPES:
        raise CheckpointError(f"{name} is {value['dtype']}; float16, float32, float64 and int8 can be read.")
    dtype, shape = np.dtype(DTYPES[value["dtype"]]), tuple(value["shape"])
    start, end = value["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise CheckpointError(f"{name} has an invalid shape or position.")
    if end - start != math.prod(shape) * dtype.itemsize or first + end > size:
        raise CheckpointError(f"{name} of shape {shape} lies partly outside the file, which is cut off.")
    return _Entry(dtype, shape, first + start)


def _scales(entries: dict[str, _Entry]) -> set[str]:
    """Check that every 8-bit matrix has a scale for each row; return the names of the scales."""
    matrices = {name: entry for name, entry in entries.items() if entry.dtype == np.int8}
    for name, entry in matrices.items():
        scale = entries.get(name + SCALE)
        if len(entry.shape) < 2 or 0 in entry.shape:
            raise CheckpointError(
                f"{name} is stored in 8 bits, but its shape {entry.shape} is not that of a matrix."
            )
        if scale is None:
            raise CheckpointError(f"{name} is stored in 8 bits, and {name}{SCALE} is missing.")
        rows = entry.shape[:1]
        if scale.dtype != np.float32 or scale.shape != rows:
            found = f"{scale.dtype} {scale.shape}"
            raise CheckpointError(f"{name}{SCALE}: expected float32 {rows}, found {found}.")
    scales = {name for name in entries if name.endswith(SCALE)}
    if extra := sorted(name for name in scales if name.removesuffix(SCALE) not in matrices):
        raise CheckpointError(f"{extra[0]} has no 8-bit matrix that it belongs to.")
    return scales
