"""What the commands have in common: progress, lists, and errors as one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, ParamSpec, Self, TypeVar

import click

from model.errors import VitrineError

if TYPE_CHECKING:
    from tqdm import tqdm

P = ParamSpec("P")
R = TypeVar("R")

_LISTED = 20
_SECONDS_ON_TERMINAL = 0.2
_SECONDS_IN_LOG = 10.0


def readable_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command end with an error's message and status 1, not with a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except VitrineError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def list_some(title: str, refused: Sequence[tuple[str, str]]) -> None:
    """Print what was refused and why, the first twenty of it."""
    if not refused:
        return
    click.echo(title)
    for name, reason in refused[:_LISTED]:
        click.echo(f"  {shown(name)}: {shown(reason)}")
    if len(refused) > _LISTED:
        click.echo(f"  and {len(refused) - _LISTED} more")


def shown(text: str) -> str:
    """Keep what strangers wrote from steering the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\u3000" else "\ufffd" for letter in text)


class ProgressBar:
    """A bar with rate and time left; called with how much is done, and of how much.

    Parameters
    ----------
    unit : str
        What is counted; ``B`` for bytes, which are shown in kilobytes and up.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: tqdm[NoReturn] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` are done; None where nobody knows how many there are."""
        if self._bar is None:
            from tqdm import tqdm

            interval = _SECONDS_ON_TERMINAL if sys.stderr.isatty() else _SECONDS_IN_LOG
            is_bytes = self._unit == "B"
            unit = self._unit if is_bytes else f" {self._unit}"
            # What an earlier run brought says nothing about the rate of this one.
            self._bar = tqdm(total=total, initial=done, unit=unit, unit_scale=is_bytes, mininterval=interval)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
