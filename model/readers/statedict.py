"""What the pickle inside a ``.pth`` says, found out without running it.

A pickle is a program for a small stack machine, and unpickling one can call anything that Python can import.
Here nothing is called: the few instructions that ``torch.save`` needs for a dictionary of tensors are
followed step by step, building plain descriptions; any other instruction, and any other name, is refused.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from model.errors import CheckpointError

STORAGE_DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8"}


@dataclass(frozen=True, slots=True)
class Storage:
    """A raw array of the file.

    Attributes
    ----------
    key : str
        Name of its entry below ``data/``.
    dtype : str
        NumPy's name of its number type.
    """

    key: str
    dtype: str


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """How a tensor lies in a storage; `offset` and `strides` count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def extent(self) -> int:
        """How many numbers of the storage lie before the end of the tensor."""
        if 0 in self.shape:
            return self.offset
        return (
            self.offset
            + 1
            + sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        )


@dataclass(frozen=True, slots=True)
class _Global:
    """A name that the pickle mentions."""

    module: str
    name: str


_ORDERED_DICT = _Global("collections", "OrderedDict")
_REBUILD_TENSOR = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")
_STORAGES = {_Global("torch", name): dtype for name, dtype in STORAGE_DTYPES.items()}
_MARK = object()


def read_state_dict(pickle: bytes) -> dict[str, StoredTensor]:
    """Follow the pickle of a dictionary of tensors without executing it.

    Parameters
    ----------
    pickle : bytes
        The entry ``data.pkl``.

    Returns
    -------
    dict of str to StoredTensor

    Raises
    ------
    CheckpointError
        The pickle names a forbidden global, uses an instruction that no dictionary of tensors needs, or is
        damaged.
    """
    try:
        result = _StackMachine().run(pickle)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"The checkpoint's table of tensors is damaged: {error}") from error
    if not isinstance(result, dict) or not all(
        isinstance(key, str) and isinstance(value, StoredTensor) for key, value in result.items()
    ):
        raise CheckpointError("The .pth holds something else than one dictionary of tensors.")
    return result


class _StackMachine:
    """The subset of pickle's instructions that describe a dictionary of tensors."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(pickle):
            if opcode.name == "STOP":
                return self.stack.pop()
            step = _STEPS.get(opcode.name)
            if step is None:
                raise CheckpointError(f"Refused: the .pth asks for the pickle instruction {opcode.name}.")
            step(self, argument)
        raise ValueError("it has no end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def pop_tuple(self, length: int) -> None:
        values = tuple(self.stack[-length:])
        del self.stack[-length:]
        self.push(values)

    def memoize(self, index: int | None = None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def global_name(self, module: str, name: str) -> None:
        named = _Global(module, name)
        if named not in (_ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER) and named not in _STORAGES:
            raise CheckpointError(f"Refused: the .pth names {module}.{name}; only tensors may be in it.")
        self.push(named)

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.global_name(module, name)

    def persistent_id(self) -> None:
        kind, storage, key, _device, _size = self.stack.pop()
        if kind != "storage" or not isinstance(key, str):
            raise ValueError(f"{kind!r} is no storage")
        self.push(Storage(key, _STORAGES[storage]))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _ORDERED_DICT and arguments == ():
            self.push({})
        elif function == _REBUILD_TENSOR:
            self.push(_stored_tensor(*arguments[:4]))
        elif function == _REBUILD_PARAMETER and isinstance(arguments[0], StoredTensor):
            self.push(arguments[0])
        else:
            raise ValueError("it calls what is not to be called")

    def set_items(self, items: list[Any]) -> None:
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def build(self) -> None:
        self.stack.pop()  # attributes of the dictionary, such as `_metadata`: of no use here


def _stored_tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> StoredTensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
        raise ValueError("a tensor is described with senseless numbers")
    if len(shape) != len(strides) or len(shape) > 8 or math.prod(shape) > 1 << 34:
        raise ValueError("a tensor has a senseless shape")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


_Step = Callable[[_StackMachine, Any], None]
_NOTHING: _Step = lambda machine, argument: None  # noqa: E731
_PUSH: _Step = _StackMachine.push
_STEPS: dict[str, _Step] = {
    "PROTO": _NOTHING,
    "FRAME": _NOTHING,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"), _PUSH),
    "NONE": lambda machine, argument: machine.push(None),
    "NEWTRUE": lambda machine, argument: machine.push(True),
    "NEWFALSE": lambda machine, argument: machine.push(False),
    "MARK": lambda machine, argument: machine.push(_MARK),
    "EMPTY_DICT": lambda machine, argument: machine.push({}),
    "EMPTY_TUPLE": lambda machine, argument: machine.push(()),
    "TUPLE": lambda machine, argument: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, argument: machine.pop_tuple(1),
    "TUPLE2": lambda machine, argument: machine.pop_tuple(2),
    "TUPLE3": lambda machine, argument: machine.pop_tuple(3),
    "BINPUT": _StackMachine.memoize,
    "LONG_BINPUT": _StackMachine.memoize,
    "MEMOIZE": lambda machine, argument: machine.memoize(),
    "BINGET": lambda machine, argument: machine.push(machine.memo[argument]),
    "LONG_BINGET": lambda machine, argument: machine.push(machine.memo[argument]),
    "GLOBAL": lambda machine, argument: machine.global_name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, argument: machine.stack_global(),
    "BINPERSID": lambda machine, argument: machine.persistent_id(),
    "REDUCE": lambda machine, argument: machine.reduce(),
    "SETITEM": lambda machine, argument: machine.set_item(),
    "SETITEMS": lambda machine, argument: machine.set_items(machine.pop_mark()),
    "BUILD": lambda machine, argument: machine.build(),
}
