"""What the commands have in common: settings' encoder, progress, and errors as one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, ParamSpec, Self, TypeVar, cast

import click

from app.context import settings
from model.errors import VitrineError

if TYPE_CHECKING:
    from tqdm import tqdm

    from model import Encoder
    from model.positions import PositionMode
    from model.preprocess import PreprocessMode

P = ParamSpec("P")
R = TypeVar("R")

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


def encoder_in_use() -> Encoder:
    """Load the checkpoint that the settings name; raises CheckpointError where it cannot be."""
    from model import load_encoder

    current = settings()
    return load_encoder(
        current.model_path,
        preprocess=cast("PreprocessMode", current.preprocess),
        positions=cast("PositionMode", current.positions) if current.positions else None,
    )


class ProgressBar:
    """A bar with rate and time left; called with how much is done, and of how much.

    Parameters
    ----------
    unit : str
        What is counted.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: tqdm[NoReturn] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if self._bar is None:
            from tqdm import tqdm

            interval = _SECONDS_ON_TERMINAL if sys.stderr.isatty() else _SECONDS_IN_LOG
            self._bar = tqdm(total=total, unit=f" {self._unit}", mininterval=interval)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
