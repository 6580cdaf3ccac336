"""The hidden folder where a download keeps what is not finished, and how a picture leaves it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from gallery.locks import exclusive
from model.errors import DownloadError

FOLDER = ".download"
_SPARE_BYTES = 256 << 20


class Spool:
    """Pictures go from here to their places in one step, so that no half picture ever has a name.

    Attributes
    ----------
    root : Path
        The gallery folder.
    folder : Path
        Hidden below it, so that the indexer passes it over.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER

    def path(self, name: str) -> Path:
        """Where an unfinished file called `name` lies."""
        return self.folder / name

    def place(self, unfinished: Path, target: PurePosixPath) -> str | None:
        """Move a finished picture to `target` below the root.

        Returns
        -------
        str or None
            Why the picture cannot bear that name; None when it does now.

        Raises
        ------
        DownloadError
            The disk is at fault and not the name.
        """
        path = self.root / target
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.parent.resolve().is_relative_to(self.root):
                return "a link leads its folder out of the gallery"
            unfinished.replace(path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            return "a file and a folder would have the same name"
        except OSError as error:
            raise DownloadError(f"{path} cannot be written: {error.strerror}.") from error
        return None

    def write(self, file: IO[bytes], data: bytes) -> None:
        """Write to an unfinished file.

        Raises
        ------
        DownloadError
            The disk is full or fails.
        """
        try:
            file.write(data)
        except OSError as error:
            raise DownloadError(f"{self.folder} cannot be written: {error.strerror}.") from error

    def check_room(self) -> None:
        """Stop before the disk is full, for the sake of all else that lives on it.

        Raises
        ------
        DownloadError
            Less than 256 MB are left.
        """
        if shutil.disk_usage(self.folder).free < _SPARE_BYTES:
            raise DownloadError(
                f"the disk of {self.root} is nearly full; make room and run the command again."
            )


@contextlib.contextmanager
def open_spool(root: Path) -> Iterator[Spool]:
    """Make the folder and its spool, for one download alone; what can be gone on from stays there.

    Raises
    ------
    StoreError, DownloadError
        Another download is at it; the folder cannot be written.
    """
    spool = Spool(root)
    try:
        spool.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{root} cannot be written: {error.strerror}.") from error
    with exclusive(spool.folder):
        yield spool
