"""Writer of ``.pth`` files without PyTorch, well-formed or not."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STORAGES = {"f2": "HalfStorage", "f4": "FloatStorage", "f8": "DoubleStorage"}


def write_pth(path: Path, tensors: Mapping[str, NDArray[Any]]) -> Path:
    """Write what ``torch.save`` writes for an ordered dictionary of tensors."""
    storages = [np.ascontiguousarray(tensor) for tensor in tensors.values()]
    table = PthPickle()
    table.tensors(
        (name, index, storage) for index, (name, storage) in enumerate(zip(tensors, storages, strict=True))
    )
    return write_pth_parts(path, table.finish(), [storage.tobytes() for storage in storages])


def write_pth_parts(path: Path, table: bytes, storages: list[bytes]) -> Path:
    """Write a ``.pth`` with this pickle and these raw storages."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", table)
        file.writestr("archive/byteorder", "little")
        for index, storage in enumerate(storages):
            file.writestr(f"archive/data/{index}", storage)
        file.writestr("archive/version", "3\n")
    return path


class PthPickle:
    """Builder of the pickle of a dictionary of tensors, in protocol 2, instruction by instruction."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._out.write(pickle.PROTO + b"\x02")
        self.call("collections", "OrderedDict", pickle.EMPTY_TUPLE)

    def call(self, module: str, name: str, arguments: bytes) -> None:
        self._out.write(global_name(module, name) + arguments + pickle.REDUCE)

    def tensors(self, items: Iterable[tuple[str, int, NDArray[Any]]]) -> None:
        self._out.write(pickle.MARK)
        for name, storage, array in items:
            self._out.write(text(name))
            self.call("torch._utils", "_rebuild_tensor_v2", self._tensor(storage, array))
        self._out.write(pickle.SETITEMS)

    def finish(self) -> bytes:
        return self._out.getvalue() + pickle.STOP

    def _tensor(self, storage: int, array: NDArray[Any]) -> bytes:
        kind = global_name("torch", STORAGES[array.dtype.str[1:]])
        described = pickle.MARK + text("storage") + kind + text(str(storage)) + text("cpu")
        described += integer(array.size) + pickle.TUPLE + pickle.BINPERSID
        strides = [stride // array.itemsize for stride in array.strides]
        described += integer(0) + integers(array.shape) + integers(strides)
        hooks = (
            pickle.NEWFALSE + global_name("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
        )
        return pickle.MARK + described + hooks + pickle.TUPLE


def global_name(module: str, name: str) -> bytes:
    """Return the instruction that pushes a global."""
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    """Return the instruction that pushes a string."""
    return pickle.BINUNICODE + len(value.encode()).to_bytes(4, "little") + value.encode()


def integer(value: int) -> bytes:
    """Return the instruction that pushes a number below 2**31."""
    return pickle.BININT + value.to_bytes(4, "little")


def integers(values: Iterable[int]) -> bytes:
    """Return the instructions that push a tuple of numbers."""
    return pickle.MARK + b"".join(map(integer, values)) + pickle.TUPLE
