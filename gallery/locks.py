"""One writer at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gallery.errors import IndexBusyError
from model.files import try_lock

_LOCK = "lock"


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Be the only process that writes in a folder, which is made where it is missing.

    The lock goes with the process, however it ends.

    Raises
    ------
    IndexBusyError
        Another process is at it; the message gives its number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+") as file:
        if not try_lock(file):
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise IndexBusyError(
                f"Another process (number {holder}) is writing {folder}; wait until it has ended."
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
