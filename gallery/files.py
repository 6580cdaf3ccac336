"""Report a failing disk as an error of the gallery; used around everything that writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gallery.errors import StoreError


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn errors of the operating system while writing a folder into a clear message.

    Parameters
    ----------
    folder : Path
        The folder that the message names.

    Raises
    ------
    StoreError
        The disk is full, failing or read-only, or permissions are missing.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.strerror or error} while writing {folder}. The index in use is unchanged. "
            "Fix the cause and run the same command again: it resumes."
        ) from error
