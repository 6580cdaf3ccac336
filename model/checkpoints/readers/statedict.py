"""Parser of the pickle inside a ``.pth``, which executes nothing.

A pickle is a program for a small stack machine, and unpickling it can call anything that Python can import.
This parser calls nothing. It follows the few instructions that ``torch.save`` needs for a dictionary of
tensors, and builds plain descriptions of them; any other instruction or name is refused. `pth` calls
`read_state_dict`. Imports the standard library and `model.errors`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from model.errors import CheckpointError

STORAGE_DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8"}


@dataclass(frozen=True, slots=True)
class Storage:
    """A raw array in the file.

    Attributes
    ----------
    key : str
        Name of its entry below ``data/``.
    dtype : str
        Type of its numbers, as NumPy writes it.
    """

    key: str
    dtype: str


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Place of a tensor in a storage; `offset` and `strides` count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def extent(self) -> int:
        """Numbers in the storage up to the end of the tensor."""
        if 0 in self.shape:
            return self.offset
        return (
            self.offset
            + 1
            + sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        )


@dataclass(frozen=True, slots=True)
class _Global:
    """An importable name in the pickle."""

    module: str
    name: str


_ORDERED_DICT = _Global("collections", "OrderedDict")
_REBUILD_TENSOR = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")
_STORAGES = {_Global("torch", name): dtype for name, dtype in STORAGE_DTYPES.items()}
_GLOBALS = {_ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER, *_STORAGES}
_MARK = object()


def read_state_dict(pickle: bytes) -> dict[str, StoredTensor]:
    """Parse the pickle of a dictionary of tensors without executing it.

    Parameters
    ----------
    pickle : bytes
        Content of the entry ``data.pkl``.

    Returns
    -------
    dict of str to StoredTensor

    Raises
    ------
    CheckpointError
        The pickle has a name or an instruction that no dictionary of tensors needs, or it is damaged.
    """
    try:
        result = _StackMachine().run(pickle)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint's table of tensors is damaged: {error}") from error
    if not isinstance(result, dict) or not all(
        isinstance(key, str) and isinstance(value, StoredTensor) for key, value in result.items()
    ):
        raise CheckpointError("the .pth must hold one dictionary of tensors and nothing else.")
    return result


class _StackMachine:
    """Machine for the subset of pickle's instructions that describe a dictionary of tensors.

    Types are checked before anything is hashed or printed: with nested tuples that could take forever.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> Any:
        stream = io.BytesIO(pickle)
        while code := stream.read(1):
            if code == _STOP:
                return self.stack.pop()
            if code not in _INSTRUCTIONS:
                raise CheckpointError(
                    f"the .pth has the pickle instruction {code!r}, which is refused: no dictionary of "
                    "tensors needs it."
                )
            read_argument, step = _INSTRUCTIONS[code]
            step(self, read_argument(stream))
        raise ValueError("the pickle has no end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise ValueError("a mark is missing")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def drop(self) -> None:
        self.stack.pop()

    def push_tuple(self, length: int) -> None:
        values = [self.stack.pop() for _ in range(length)]
        self.push(tuple(reversed(values)))

    def memoize(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def push_global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a global's name is not text")
        named = _Global(module, name)
        if named not in _GLOBALS:
            raise CheckpointError(
                f"the .pth refers to {module}.{name}; only floating-point tensors are allowed"
                " (8-bit matrices can be stored in .safetensors only)."
            )
        self.push(named)

    def push_storage(self) -> None:
        kind, storage, key, _device, _size = self.stack.pop()
        if kind != "storage" or not isinstance(storage, _Global) or not isinstance(key, str):
            raise ValueError("a storage's description is malformed")
        self.push(Storage(key, _STORAGES[storage]))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _ORDERED_DICT and arguments == ():
            self.push({})
        elif function == _REBUILD_TENSOR:
            self.push(_stored_tensor(*arguments[:4]))
        elif function == _REBUILD_PARAMETER and isinstance(arguments[0], StoredTensor):
            self.push(arguments[0])
        else:
            raise ValueError("a call is not allowed")

    def set_items(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if not isinstance(self.stack[-1], dict) or not all(isinstance(key, str) for key in keys):
            raise ValueError("items are set on something that is not a dictionary with text keys")
        self.stack[-1].update(zip(keys, values, strict=True))


def _stored_tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> StoredTensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
        raise ValueError("a tensor's description has invalid numbers")
    if len(shape) != len(strides) or len(shape) > 8 or math.prod(shape) > 1 << 34:
        raise ValueError("a tensor has an invalid shape")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


_ReadArgument = Callable[[BinaryIO], Any]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("it is truncated")
    return data


def _integer(size: int, *, signed: bool = False) -> _ReadArgument:
    return lambda stream: int.from_bytes(_exactly(stream, size), "little", signed=signed)


def _text(length_size: int) -> _ReadArgument:
    read_length = _integer(length_size)
    return lambda stream: _exactly(stream, read_length(stream)).decode()


def _long(stream: BinaryIO) -> int:
    return int.from_bytes(_exactly(stream, _exactly(stream, 1)[0]), "little", signed=True)


def _two_lines(stream: BinaryIO) -> tuple[str, str]:
    return stream.readline().rstrip(b"\n").decode(), stream.readline().rstrip(b"\n").decode()


def _nothing(stream: BinaryIO) -> None:
    """Read nothing: the instruction has no argument."""


_Step = Callable[[_StackMachine, Any], None]
_STOP = b"."
_INSTRUCTIONS: dict[bytes, tuple[_ReadArgument, _Step]] = {
    b"\x80": (_integer(1), lambda machine, protocol: None),  # PROTO
    b"\x95": (_integer(8), lambda machine, length: None),  # FRAME
    b"N": (_nothing, lambda machine, _: machine.push(None)),  # NONE
    b"\x88": (_nothing, lambda machine, _: machine.push(True)),  # NEWTRUE
    b"\x89": (_nothing, lambda machine, _: machine.push(False)),  # NEWFALSE
    b"J": (_integer(4, signed=True), _StackMachine.push),  # BININT
    b"K": (_integer(1), _StackMachine.push),  # BININT1
    b"M": (_integer(2), _StackMachine.push),  # BININT2
    b"\x8a": (_long, _StackMachine.push),  # LONG1
    b"X": (_text(4), _StackMachine.push),  # BINUNICODE
    b"\x8c": (_text(1), _StackMachine.push),  # SHORT_BINUNICODE
    b"(": (_nothing, lambda machine, _: machine.push(_MARK)),  # MARK
    b"}": (_nothing, lambda machine, _: machine.push({})),  # EMPTY_DICT
    b")": (_nothing, lambda machine, _: machine.push(())),  # EMPTY_TUPLE
    b"t": (_nothing, lambda machine, _: machine.push(tuple(machine.pop_mark()))),  # TUPLE
    b"\x85": (_nothing, lambda machine, _: machine.push_tuple(1)),  # TUPLE1
    b"\x86": (_nothing, lambda machine, _: machine.push_tuple(2)),  # TUPLE2
    b"\x87": (_nothing, lambda machine, _: machine.push_tuple(3)),  # TUPLE3
    b"q": (_integer(1), _StackMachine.memoize),  # BINPUT
    b"r": (_integer(4), _StackMachine.memoize),  # LONG_BINPUT
    b"\x94": (_nothing, lambda machine, _: machine.memoize(len(machine.memo))),  # MEMOIZE
    b"h": (_integer(1), lambda machine, index: machine.push(machine.memo[index])),  # BINGET
    b"j": (_integer(4), lambda machine, index: machine.push(machine.memo[index])),  # LONG_BINGET
    b"c": (_two_lines, lambda machine, named: machine.push_global(*named)),  # GLOBAL
    b"\x93": (_nothing, lambda machine, _: machine.push_global(*_pop_pair(machine))),  # STACK_GLOBAL
    b"Q": (_nothing, lambda machine, _: machine.push_storage()),  # BINPERSID
    b"R": (_nothing, lambda machine, _: machine.call()),  # REDUCE
    b"s": (_nothing, lambda machine, _: machine.set_items(_pop_pair(machine))),  # SETITEM
    b"u": (_nothing, lambda machine, _: machine.set_items(machine.pop_mark())),  # SETITEMS
    # BUILD would set attributes of a dictionary, such as `_metadata`, which are not needed.
    b"b": (_nothing, lambda machine, _: machine.drop()),
}


def _pop_pair(machine: _StackMachine) -> list[Any]:
    second, first = machine.stack.pop(), machine.stack.pop()
    return [first, second]
