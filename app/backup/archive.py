"""The file format of a backup: a plain tar archive that ends with the SHA-256 of every member.

``backup.json`` comes first and describes the backup; ``SHA256SUMS`` comes last, so a file that was cut off
has none. Any tar unpacks it, and ``sha256sum --check SHA256SUMS`` checks it by hand. Reading trusts nothing:
only regular members whose names have the expected form are accepted, and no header makes us allocate memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from model.errors import VitrineError

FACTS, SUMS = "backup.json", "SHA256SUMS"
FORMAT = 1
SQLITE, POSTGRES = "database.sqlite", "database.dump"

_PART = r"\w[\w.-]*"  # cannot begin with a dot, so neither .. nor a hidden file
_SINGLE = "|".join(map(re.escape, (FACTS, SUMS, SQLITE, POSTGRES)))
_NAME = re.compile(rf"{_SINGLE}|(?:uploads|thumbnails|indexes)(?:/{_PART}){{1,5}}")
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
_MAX_FACTS = 1 << 20
_MAX_LINE = 512
_TEXTS = ("vitrine", "created", "database", "revision")


class BackupError(VitrineError):
    """A backup cannot be made, read or restored; the message says why and what to do."""

    code = "backup"


class Writer:
    """A backup that is being written; see `writing`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sums = io.BytesIO()

    def add(self, name: str, path: Path) -> None:
        """Add the file at `path` under `name`.

        Raises
        ------
        FileNotFoundError
            There is no such file; the backup is as before.
        """
        with path.open("rb") as source:
            self._add(name, source, os.fstat(source.fileno()).st_size)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add `data` under `name`."""
        self._add(name, io.BytesIO(data), len(data))

    def finish(self) -> None:
        """Write the checksums and the end of the archive, and make all of it reach the disk."""
        sums = self._sums.getvalue()
        self._add(SUMS, io.BytesIO(sums), len(sums))
        self._file.write(bytes(2 * _BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _add(self, name: str, source: BinaryIO, size: int) -> None:
        if not _NAME.fullmatch(name) or len(name.encode()) > tarfile.LENGTH_NAME:
            raise BackupError(f"{name!r} is a name that a backup cannot hold; rename it")
        header = tarfile.TarInfo(name)
        header.size, header.mode = size, 0o600
        self._file.write(header.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict"))
        digest, left = hashlib.sha256(), size
        while left:
            chunk = source.read(min(left, _CHUNK))
            if not chunk:
                raise BackupError(f"{name} became shorter while it was read; run the command again")
            digest.update(chunk)
            self._file.write(chunk)
            left -= len(chunk)
        self._file.write(bytes(-size % _BLOCK))
        self._sums.write(f"{digest.hexdigest()}  {name}\n".encode())


@contextlib.contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """Write a backup that appears at `target` when it is complete, readable by its owner alone.

    Raises
    ------
    BackupError
        `target` exists, or the disk refuses.
    """
    if target.exists():
        raise BackupError(f"{target} exists already; choose another name")
    part = target.with_name(f"{target.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            writer = Writer(file)
            yield writer
            writer.finish()
        part.rename(target)
    except OSError as error:
        raise BackupError(f"{error.strerror or error} while writing {target}; nothing was kept") from error
    finally:
        part.unlink(missing_ok=True)


def unpack(source: Path, folder: Path | None = None) -> dict[str, Any]:
    """Check a backup completely, write its members below `folder` if one is given, and return its facts.

    Raises
    ------
    BackupError
        It is not a backup, is damaged, or comes from a newer version; what was written is then worthless.
    """
    try:
        with source.open("rb") as file, source.open("rb") as again:
            sums = _lines(again, source)
            facts: dict[str, Any] | None = None
            for name, size in _members(file, source):
                if name == SUMS:
                    break
                place = None if folder is None or name == FACTS else folder / name
                kept = io.BytesIO() if name == FACTS and size <= _MAX_FACTS else None
                digest = _copy(file, size, place, kept)
                if next(sums, "") != f"{digest}  {name}":
                    raise BackupError(f"{source} is damaged: {name} is not what was written")
                if kept is not None:
                    facts = _facts(kept.getvalue(), source)
            if next(sums, "") or facts is None:
                raise BackupError(f"{source} is damaged: members are missing")
            return facts
    except OSError as error:
        raise BackupError(f"{error.strerror or error} while reading {source}") from error


def _members(file: BinaryIO, source: Path) -> Iterator[tuple[str, int]]:
    """Yield each member's name and size, with the file standing at its first byte."""
    offset, end = 0, os.fstat(file.fileno()).st_size
    while True:
        file.seek(offset)
        try:
            header = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            cut = "it is not a backup" if offset == 0 else "it is damaged or was cut off"
            raise BackupError(f"{source} cannot be read: {cut}") from error
        if header.type != tarfile.REGTYPE or not _NAME.fullmatch(header.name):
            raise BackupError(f"{source} is refused: it holds {header.name!r}, which no backup does")
        offset += _BLOCK
        if not 0 <= header.size <= end - offset:
            raise BackupError(f"{source} cannot be read: it was cut off")
        yield header.name, header.size
        offset += header.size + -header.size % _BLOCK


def _lines(file: BinaryIO, source: Path) -> Iterator[str]:
    """Yield the lines of the last member, without keeping them."""
    size = next((size for name, size in _members(file, source) if name == SUMS), 0)
    # The generator leaves the file at the member that was found.
    left = size
    while left > 0:
        line = file.readline(min(left, _MAX_LINE))
        left -= len(line)
        if not line:
            return
        yield line.decode("utf-8", "replace").removesuffix("\n")


def _copy(file: BinaryIO, size: int, place: Path | None, kept: io.BytesIO | None) -> str:
    """Read one member, write it to `place` and to `kept` where given, and return its SHA-256."""
    digest = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        target: Any = kept
        if place is not None:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            target = stack.enter_context(os.fdopen(descriptor, "wb"))
        while size:
            chunk = file.read(min(size, _CHUNK))
            if not chunk:
                break  # cut off meanwhile: the checksum will differ
            digest.update(chunk)
            size -= len(chunk)
            if target is not None:
                target.write(chunk)
        if place is not None:
            target.flush()
            os.fsync(target.fileno())
    return digest.hexdigest()


def _facts(text: bytes, source: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        facts = {}
    if not isinstance(facts.get("format"), int) or not all(
        isinstance(facts.get(name), str) for name in _TEXTS
    ):
        raise BackupError(f"{source} cannot be read: it is not a backup")
    if facts["format"] > FORMAT:
        made = facts["vitrine"]
        raise BackupError(
            f"{source} was made by Vitrine {made}, a newer version: update Vitrine, then restore"
        )
    return facts
