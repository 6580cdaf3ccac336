"""Read the members of an untrusted zip or tar archive as one stream.

Called by `gallery.download.archives`; standard library alone.
"""

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
    NotImplementedError,  # a compression method that Python does not support
    OSError,
    RuntimeError,  # an encrypted member
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions that the standard library raises for damaged or hostile archives."""

_MAX_HEADER = 16 << 20


class Member(NamedTuple):
    """A member: its name, the size it claims, whether it is a regular file, and a function that opens it."""

    name: str
    size: int
    is_file: bool
    open: Callable[[], IO[bytes]]


@contextlib.contextmanager
def open_members(path: Path) -> Iterator[tuple[Iterator[Member], int | None]]:
    """Open an archive; its kind is recognised by its content.

    Yields
    ------
    members : iterator of Member
        Without folders. Each member must be read before the next one is requested.
    count : int or None
        Number of members, if the archive states it.

    Raises
    ------
    DownloadError
        The file is not an archive, or is damaged, which may be found only while it is read.
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
            raise DownloadError(f"{path.name} is not an archive, or is damaged: {error}.") from error


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = stat.S_IFMT(info.external_attr >> 16)
        if not info.is_dir():
            yield Member(
                info.filename, info.file_size, mode in (0, stat.S_IFREG), partial(archive.open, info)
            )


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    while (info := archive.next()) is not None:
        cast("Any", archive).members.clear()  # or every header of a long archive stays in memory
        if info.size < 0:
            raise tarfile.ReadError("a member has a negative size")
        if not info.isdir():
            is_file = info.isreg() and not info.issparse()
            yield Member(info.name, info.size, is_file, partial(_open_tar_member, archive, info))


def _open_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise tarfile.ReadError("not a regular file")
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
    """Refuses huge single reads: tarfile reads a long header at once, and 8 GB of zeros compress to 8 MB."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self._file.read(size)
