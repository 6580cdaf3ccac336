"""The members of a zip or tar archive as one stream, read with no trust in what it claims."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from model.errors import DownloadError

READ_ERRORS = (
    EOFError,
    NotImplementedError,  # a compression that Python does not know
    OSError,
    RuntimeError,  # an encrypted member
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged or hostile archive makes the standard library raise."""

_MAX_HEADER = 16 << 20


class Member(NamedTuple):
    """One entry: its name, its size as claimed, whether it is a plain file, and how to read it."""

    name: str
    size: int
    is_file: bool
    open: Callable[[], IO[bytes]]


@contextlib.contextmanager
def open_members(path: Path) -> Iterator[tuple[Iterator[Member], int | None]]:
    """Open an archive, whose kind is told by its content.

    Yields
    ------
    members : iterator of Member
        Folders are left out. Each is to be read before the next is asked for.
    count : int or None
        How many there are, where the archive says so.

    Raises
    ------
    DownloadError
        It is no archive, or a damaged one, which may show only while it is read.
    """
    with contextlib.ExitStack() as stack:
        try:
            if zipfile.is_zipfile(path):
                archive = stack.enter_context(zipfile.ZipFile(path))
                yield _zip_members(archive), len(archive.infolist())
            else:
                stream = cast("IO[bytes]", _HeaderGuard(stack.enter_context(_decompressed(path))))
                yield _tar_members(stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))), None
        except READ_ERRORS as error:
            raise DownloadError(f"{path.name} is no archive, or a damaged one: {error}.") from error


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = stat.S_IFMT(info.external_attr >> 16)
        if not info.is_dir():
            yield Member(
                info.filename, info.file_size, mode in (0, stat.S_IFREG), partial(archive.open, info)
            )


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    while (info := archive.next()) is not None:
        cast("Any", archive).members.clear()  # else every header of a long archive would stay in memory
        if info.size < 0:
            raise tarfile.ReadError("a member has a negative size")
        if not info.isdir():
            is_file = info.isreg() and not info.issparse()
            yield Member(info.name, info.size, is_file, partial(_open_tar_member, archive, info))


def _open_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise tarfile.ReadError("not a plain file")
    return file


def _decompressed(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(path))
    if magic == b"\xfd7zXZ\0":
        return cast("IO[bytes]", lzma.open(path))
    return path.open("rb")


class _HeaderGuard:
    """Refuses huge single reads: tarfile reads a long header whole, and 8 GB of zeros pack into 8 MB."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"it asks for {size:,} bytes at once")
        return self._file.read(size)
