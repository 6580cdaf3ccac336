"""The steps of ``make run`` on the terminal, as an aligned list; stdlib only.

On a terminal the line of the current step shows its progress. In a file or a pipe, each step prints one line
when it ends, and a long step also prints its progress now and then.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from types import TracebackType

WIDTH = 18
TERMINAL_SECONDS = 0.1  # between two updates of a line
LOG_SECONDS = 15.0  # between two lines of progress


class Step:
    """One step; a context manager.

    Parameters
    ----------
    name : str
        Its name, in the first column.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stdout.isatty()
        self._open = False
        self._due = time.monotonic() + (0.0 if self._terminal else LOG_SECONDS)

    def update(self, text: str) -> None:
        """Show progress."""
        now = time.monotonic()
        if now < self._due:
            return
        if self._terminal:
            self._due = now + TERMINAL_SECONDS
            self._rewrite(text)
            self._open = True
        else:
            self._due = now + LOG_SECONDS
            self._print(text)

    def finish(self, text: str) -> None:
        """Show the result."""
        if self._open:
            self._rewrite("")
        self._open = False
        self._print(text)

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open:  # an error: its message begins on a clean line
            self._open = False
            self._write("\r\033[K")

    def _rewrite(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        line = f"  {self._name:<{WIDTH}}{text}" if text else ""
        self._write("\r\033[K" + line[: columns - 1])

    def _print(self, text: str) -> None:
        self._write(f"  {self._name:<{WIDTH}}{text}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal does not stop the work
            sys.stdout.write(text)
            sys.stdout.flush()
