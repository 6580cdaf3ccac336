"""Files that survive a power cut, and their checksums."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from gallery.errors import StoreError


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(path: Path) -> None:
    """Make the names in a folder reach the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file whose bytes have reached the disk on return."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
