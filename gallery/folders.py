"""Folders that may hold a gallery, and files that are opened below them and nowhere else.

Everything that a stranger can be shown is opened by `open_below`: pictures of the gallery, its thumbnails,
its attribution. The path may come from an index or an import that somebody else made, and the file may be
replaced at any time, so the check and the file that is read must be the same: each folder on the way is
opened from the one before it, without following links.

Standard library alone, so that the web process may import it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from gallery.errors import PathRefusedError, StoreError

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe would otherwise wait for a writer. It makes no difference for a regular file.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Return device and inode of a file or folder, or None if it cannot be examined."""
    try:
        return _identity(path.stat())
    except OSError:
        return None


def check_root(root: Path, private: Collection[Path]) -> None:
    """Check that a folder may be a gallery.

    Parameters
    ----------
    root : Path
        Resolved folder.
    private : collection of Path
        Folders that must not be shown: ``DATA_DIR`` and those inside it with Vitrine's own files. They are
        recognised by device and inode, whatever path leads to them: links and bind mounts included. Other
        folders in ``DATA_DIR`` may be galleries, as the demo gallery is.

    Raises
    ------
    StoreError
        It is ``/``, one of `private`, or a folder inside one of the inner ones.
    """
    if identity(root) == identity(Path("/")):
        raise StoreError("The whole file system cannot be a gallery; choose the folder with the pictures.")
    resolved = [folder.resolve() for folder in private]
    inner = [
        folder
        for folder in resolved
        if any(folder.is_relative_to(other) for other in resolved if other != folder)
    ]
    if identity(root) in _identities(resolved) or any(
        identity(parent) in _identities(inner) for parent in root.parents
    ):
        raise StoreError(f"{root} contains Vitrine's own data; choose another folder for the pictures.")


def open_below(root: Path, path: str, private: Collection[Path] = ()) -> BinaryIO:
    """Open a regular file below a folder for reading.

    Links are followed if they stay inside `root`.

    Parameters
    ----------
    root : Path
        The folder.
    path : str
        Relative POSIX path of the file.
    private : collection of Path
        Folders that the path must not lead through; see `check_root`.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    PathRefusedError
        The path leads out of the folder or through a private one, the file is not a regular one, or a part of
        the path was replaced by a link at this moment.
    """
    base = os.path.realpath(root)
    target = os.path.realpath(os.path.join(base, path))  # noqa: PTH118 - Path.resolve raises on a link to itself
    if target == base or not Path(target).is_relative_to(base):
        raise PathRefusedError(f"{path} leads out of the gallery's folder.")
    *folders, name = Path(target).relative_to(base).parts
    refused = _identities(private)
    descriptor = _opened(base, _FOLDER, None, path)
    try:
        _refuse(descriptor, refused, path)
        for folder in folders:
            following = _opened(folder, _FOLDER, descriptor, path)
            os.close(descriptor)
            descriptor = following
            _refuse(descriptor, refused, path)
        found = _opened(name, _FILE, descriptor, path)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise PathRefusedError(f"{path} is not a regular file.")
    return os.fdopen(found, "rb")


def _opened(name: str, flags: int, folder: int | None, path: str) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link since the path was resolved
            raise PathRefusedError(f"{path} leads out of the gallery's folder.") from error
        raise


def _refuse(descriptor: int, refused: Collection[Identity], path: str) -> None:
    if _identity(os.fstat(descriptor)) in refused:
        raise PathRefusedError(f"{path} lies in Vitrine's own data.")


def _identities(folders: Collection[Path]) -> set[Identity]:
    return {found for folder in folders if (found := identity(folder)) is not None}


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino
