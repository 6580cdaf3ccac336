"""The hidden folder of a download's unfinished files; finished pictures are moved out of it."""

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
    """Folder of unfinished files; a finished picture gets its final name by one rename, never before.

    Attributes
    ----------
    root : Path
        The gallery's folder.
    folder : Path
        Hidden folder below it, which indexing ignores.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.folder = self.root / FOLDER

    def path(self, name: str) -> Path:
        """Return the path of an unfinished file."""
        return self.folder / name

    def place(self, unfinished: Path, target: PurePosixPath) -> str | None:
        """Move a finished picture to `target` below the root.

        Returns
        -------
        str or None
            Why the name is not possible; None if the picture was moved.

        Raises
        ------
        DownloadError
            The folder cannot be written, whatever the name.
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
            The disk is full, or cannot be written.
        """
        try:
            file.write(data)
        except OSError as error:
            raise DownloadError(f"{self.folder} cannot be written: {error.strerror}.") from error

    def check_free_space(self) -> None:
        """Stop before the disk is full, because other data lie on it too.

        Raises
        ------
        DownloadError
            Less than 256 MB are free.
        """
        if shutil.disk_usage(self.folder).free < _SPARE_BYTES:
            raise DownloadError(
                f"The disk of {self.root} is nearly full; free some space and run the command again."
            )


@contextlib.contextmanager
def open_spool(root: Path) -> Iterator[Spool]:
    """Create the folder and its spool, and lock it for one download.

    Unfinished files stay, so that an interrupted download can resume.

    Raises
    ------
    IndexBusyError
        Another download into the folder is running.
    DownloadError
        The folder cannot be written.
    """
    spool = Spool(root)
    try:
        spool.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{root} cannot be written: {error.strerror}.") from error
    with exclusive(spool.folder):
        yield spool
