"""The part file of a download: it survives interruptions, and gets its final name when it is checked.

`model.transfer.downloads` uses `part_file`; `model.checkpoints.fetch` uses `Check`.
"""

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
    """Expected checksum and size of a file.

    Attributes
    ----------
    algorithm, digest : str
        ``sha256`` or ``md5``, and the checksum in hexadecimal digits; empty if unknown.
    size : int or None
        Size in bytes; None if unknown.
    """

    algorithm: str
    digest: str
    size: int | None

    def fault(self, path: Path) -> str | None:
        """Return what is wrong with the file at `path`, or None."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"the file has {found:,} bytes; it should have {self.size:,}"
        if self.digest:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, self.algorithm).hexdigest()
            if digest != self.digest.lower():
                return f"wrong content: its {self.algorithm.upper()} is {digest}; it should be {self.digest}"
        return None


class PartFile:
    """``<destination>.part``, and ``<destination>.part.json`` beside it with the source of its bytes.

    Attributes
    ----------
    url, validator : str
        Address of the bytes, and what identifies their version at the server (a strong ETag or a date); empty
        if unknown. A later run reads them from the JSON file.
    """

    def __init__(self, destination: Path, file: IO[bytes], check: Check) -> None:
        self._destination = destination
        self._file = file
        self._path = _part_path(destination)
        self._origin = _origin_path(destination)
        self._check = check
        self._finished = False
        self.url, self.validator = _read_origin(self._origin)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return os.fstat(self._file.fileno()).st_size

    def can_resume(self, url: str) -> bool:
        """Return whether a mismatch between the bytes so far and the rest from `url` would be detected."""
        return self.size > 0 and bool(self._check.digest or (self.validator and self.url == url))

    def check_disk(self, missing: int) -> None:
        """Check that `missing` more bytes fit on the disk.

        Raises
        ------
        DownloadError
            They do not fit.
        """
        free = shutil.disk_usage(self._path.parent).free
        if missing > free:
            raise DownloadError(
                f"{self._destination} needs {missing:,} more bytes, but the disk has {free:,} left; "
                "free some space and run the command again."
            )

    def append(self, data: bytes) -> None:
        """Write bytes at the end.

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
        """Discard all bytes and their origin."""
        self._file.truncate(0)
        self.url = self.validator = ""
        self._origin.unlink(missing_ok=True)

    def finish(self) -> str | None:
        """Sync the file and rename it to its destination; if it fails its check, return why instead."""
        fault = self._check.fault(self._path)
        if fault is None:
            sync_file(self._file)
            self._path.replace(self._destination)
            self._origin.unlink(missing_ok=True)
            self._finished = True
        return fault

    def leave(self) -> None:
        """Keep the part file if a later run can resume it; otherwise remove it."""
        if self._finished:
            return
        if self.can_resume(self.url):
            self._origin.write_text(json.dumps({"url": self.url, "validator": self.validator}))
        else:
            self.clear()
            self._path.unlink()


@contextlib.contextmanager
def part_file(destination: Path, check: Check) -> Iterator[PartFile]:
    """Open the part file of `destination`, locked against other processes; create the folder if missing.

    Parameters
    ----------
    destination : Path
    check : Check
        What the finished file must be.

    Yields
    ------
    PartFile

    Raises
    ------
    DownloadError
        The folder cannot be written, or another process is downloading the file.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, so that a full disk is an error of the write and not of closing the file.
        file = _part_path(destination).open("ab", buffering=0)
    except OSError as error:
        raise DownloadError(f"{destination} cannot be written: {error.strerror}.") from error
    with file:
        if not try_lock(file):
            raise DownloadError(f"another process is already downloading {destination}.")
        part = PartFile(destination, file, check)
        try:
            yield part
        finally:
            part.leave()


def _part_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


def _origin_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part.json")


def _read_origin(path: Path) -> tuple[str, str]:
    try:
        origin = json.loads(path.read_text())
        return str(origin["url"]), str(origin["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""  # missing or truncated: the bytes are then kept only if a checksum is known
