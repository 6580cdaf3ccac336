"""A file that is still on its way: gathered under another name, checked, and only then given its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from model.errors import DownloadError
from model.files import sync_file, try_lock


@dataclass(frozen=True, slots=True)
class Check:
    """What a finished file must be.

    Attributes
    ----------
    algorithm, digest : str
        ``sha256`` or ``md5``, and the checksum in hexadecimal digits; empty where none is known.
    size : int or None
        Its bytes, where known.
    """

    algorithm: str
    digest: str
    size: int | None

    def fault(self, path: Path) -> str | None:
        """Say what is wrong with the file at `path`; None where nothing is."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"the file has {found:,} bytes and should have {self.size:,}"
        if self.digest:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, self.algorithm).hexdigest()
            if digest != self.digest.lower():
                return f"wrong bytes: the {self.algorithm.upper()} is {digest} and should be {self.digest}"
        return None


class PartFile:
    """``<destination>.part``, and beside it a note of what its bytes came from.

    Attributes
    ----------
    url, validator : str
        Where the bytes came from, and the server's word for that version of them (a strong ETag or a date);
        empty where unknown. A later run reads them from the note.
    """

    def __init__(self, destination: Path, file: IO[bytes], check: Check) -> None:
        self._destination = destination
        self._file = file
        self._path = _part_path(destination)
        self._note = _note_path(destination)
        self._check = check
        self._finished = False
        self.url, self.validator = _read_note(self._note)

    @property
    def size(self) -> int:
        """Bytes gathered so far."""
        return os.fstat(self._file.fileno()).st_size

    def can_resume(self, url: str) -> bool:
        """Whether something would tell that what `url` goes on with does not fit what is there."""
        return self.size > 0 and bool(self._check.digest or (self.validator and self.url == url))

    def make_room(self, missing: int) -> None:
        """Make sure that `missing` more bytes fit on the disk.

        Raises
        ------
        DownloadError
            They do not.
        """
        free = shutil.disk_usage(self._path.parent).free
        if missing > free:
            raise DownloadError(
                f"{self._destination} needs {missing:,} bytes more and the disk has {free:,}; make room."
            )

    def append(self, data: bytes) -> None:
        """Add bytes at the end.

        Raises
        ------
        DownloadError
            The disk is full or fails.
        """
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise DownloadError(f"{self._path} cannot be written: {error.strerror}.") from error

    def clear(self) -> None:
        """Forget every byte, and where they came from."""
        self._file.truncate(0)
        self.url = self.validator = ""
        self._note.unlink(missing_ok=True)

    def finish(self) -> str | None:
        """Give the file its name, on disk for good; where it is not what it should be, say why instead."""
        fault = self._check.fault(self._path)
        if fault is None:
            sync_file(self._file)
            self._path.replace(self._destination)
            self._note.unlink(missing_ok=True)
            self._finished = True
        return fault

    def leave(self) -> None:
        """Keep for a later run what it can go on from; remove what it cannot."""
        if self._finished:
            return
        if self.can_resume(self.url):
            self._note.write_text(json.dumps({"url": self.url, "validator": self.validator}))
        else:
            self.clear()
            self._path.unlink()


@contextlib.contextmanager
def part_file(destination: Path, check: Check) -> Iterator[PartFile]:
    """Open the part file of `destination`, whose folder is made if missing, for one process alone.

    Raises
    ------
    DownloadError
        The folder cannot be written, or another process is at it.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a full disk shows at the write that meets it, not when the file is closed.
        file = _part_path(destination).open("ab", buffering=0)
    except OSError as error:
        raise DownloadError(f"{destination} cannot be written: {error.strerror}.") from error
    with file:
        if not try_lock(file):
            raise DownloadError(f"another process is downloading {destination} already.")
        part = PartFile(destination, file, check)
        try:
            yield part
        finally:
            part.leave()


def _part_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


def _note_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part.json")


def _read_note(path: Path) -> tuple[str, str]:
    try:
        note = json.loads(path.read_text())
        return str(note["url"]), str(note["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return (
            "",
            "",
        )  # none, or one that a crash cut off: the bytes are then taken only if a checksum vouches
