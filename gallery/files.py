"""What the disk refuses, as errors of the gallery."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gallery.errors import StoreError


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write in a folder into a clear error.

    Raises
    ------
    StoreError
        The disk is full, read-only, failing, or not ours to write.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.strerror or error} while writing {folder}. What was in use stays in use; "
            "mend that and run the same command again: it goes on where this one ended."
        ) from error
