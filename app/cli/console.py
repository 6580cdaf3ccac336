"""Shared by the commands: progress bars, lists, and errors as one line."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypeVar

import click

from model.errors import VitrineError

if TYPE_CHECKING:
    from tqdm import tqdm

P = ParamSpec("P")
R = TypeVar("R")

_LISTED = 20
_SECONDS_ON_TERMINAL = 0.2
_SECONDS_IN_LOG = 10.0


class TargetFile(click.Path):
    """A file to be written; whether it can be is checked before the work that leads to it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; fail if its folder is missing or not writable."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"The folder {path.parent} does not exist; make it first.", param, ctx)
        if not path.exists() and not os.access(path.parent, os.W_OK | os.X_OK):
            self.fail(f"The folder {path.parent} is not writable.", param, ctx)
        return path


def readable_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command print an error's message and exit with status 1, instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except VitrineError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def list_some(title: str, entries: Sequence[tuple[str, str]]) -> None:
    """Print names with their reasons, the first twenty of them."""
    if not entries:
        return
    click.echo(title)
    for name, reason in entries[:_LISTED]:
        click.echo(f"  {shown(name)}: {shown(reason)}")
    if len(entries) > _LISTED:
        click.echo(f"  and {len(entries) - _LISTED} more")


def shown(text: str) -> str:
    """Replace control characters in untrusted text, which could otherwise control the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\u3000" else "\ufffd" for letter in text)


def quiet_pillow() -> None:
    """Hide Pillow's warnings about oddities of files that it can read; commands list those it cannot read."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


class ProgressBar:
    """A progress bar with rate and remaining time; call it with the number done and the total.

    Parameters
    ----------
    unit : str
        What is counted. With ``B``, bytes, numbers are shown as kB, MB and so on.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: tqdm[NoReturn] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` are done; `total` is None if it is unknown."""
        if self._bar is None:
            from tqdm import tqdm

            interval = _SECONDS_ON_TERMINAL if sys.stderr.isatty() else _SECONDS_IN_LOG
            is_bytes = self._unit == "B"
            unit = self._unit if is_bytes else f" {self._unit}"
            # `initial`: the work of an earlier run does not count towards the rate of this one.
            self._bar = tqdm(total=total, initial=done, unit=unit, unit_scale=is_bytes, mininterval=interval)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        quiet_pillow()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
