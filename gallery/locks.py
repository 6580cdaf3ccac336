"""Let one process at a time write a folder; used by indexing, import, pruning, evaluation and downloads."""

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
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise IndexBusyError(
                f"Another process (id {holder}) is writing {folder}; wait until it has ended."
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
