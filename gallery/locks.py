"""Let one process at a time write a folder; used by indexing, import, pruning, evaluation and downloads."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from gallery.errors import IndexBusyError
from model.files import try_lock

_LOCK = "lock"
_ID_SECONDS = 1.0


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lock a folder against other writers; the folder is created if missing.

    The lock ends with the process, however the process ends.

    Parameters
    ----------
    folder : Path
        The folder, in which a file ``lock`` is created.

    Raises
    ------
    IndexBusyError
        Another process has the lock; the message gives its process id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a+") as file:
        if not try_lock(file):
            holder = _holder(folder / _LOCK)
            raise IndexBusyError(f"Another process{holder} is writing {folder}; wait until it has ended.")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _holder(path: Path) -> str:
    """Return the holder's process id in words, or nothing if it does not write it in time.

    A process that has just taken the lock writes its id a moment later.
    """
    deadline = time.monotonic() + _ID_SECONDS
    while time.monotonic() < deadline:
        if text := path.read_text().strip():
            return f" (id {text[:20]})"
        time.sleep(0.01)
    return ""
