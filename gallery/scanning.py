"""List the files of a folder that may be pictures.

Called by indexing and evaluation; standard library alone. Nothing is opened here: what a file holds is
judged when it is read (`gallery.reading`).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gallery.about import ABOUT_FILES
from gallery.errors import StoreError

# Only suffixes that no picture has: any other file is judged by its content, not by its name.
# fmt: off
_OTHER_SUFFIXES = frozenset((
    ".7z", ".avi", ".bz2", ".c", ".cfg", ".cpp", ".css", ".csv", ".db", ".doc", ".docx", ".gz", ".h",
    ".htm", ".html", ".ini", ".ipynb", ".js", ".json", ".jsonl", ".log", ".m4a", ".md", ".mkv", ".mov",
    ".mp3", ".mp4", ".npy", ".npz", ".ods", ".odt", ".parquet", ".pdf", ".ppt", ".pptx", ".pth", ".py",
    ".rar", ".rst", ".safetensors", ".sh", ".sqlite", ".svg", ".tar", ".tex", ".tgz", ".toml", ".tsv",
    ".txt", ".wav", ".webm", ".xls", ".xlsx", ".xml", ".xmp", ".xz", ".yaml", ".yml", ".zip", ".zst",
))
# fmt: on


class CandidateFile(NamedTuple):
    """A file that may be a picture.

    Attributes
    ----------
    path : str
        Relative POSIX path.
    size : int
        Bytes.
    mtime : int
        Time of the last change, in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime: int


class FileIssue(NamedTuple):
    """The path of a file or folder, and why it was skipped, is missing or has changed."""

    path: str
    reason: str


def scan(root: Path, exclude: Collection[Path] = ()) -> tuple[list[CandidateFile], list[FileIssue]]:
    """List the files of a folder and of all folders below it.

    Hidden files and folders are ignored without a report. Links to folders are not followed, links to files
    only where they stay inside `root`.

    Parameters
    ----------
    root : Path
        Resolved folder.
    exclude : collection of Path
        Resolved folders not to enter, such as the index itself.

    Returns
    -------
    candidates : list of CandidateFile
        Sorted by path.
    skipped : list of FileIssue
        Files that cannot be pictures, and files and folders that cannot be read; sorted by path.

    Raises
    ------
    StoreError
        `root` is not a folder, or cannot be read.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder.")
    candidates: list[CandidateFile] = []
    skipped: list[FileIssue] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if folder == root:
                raise StoreError(f"{root} cannot be read: {error.strerror}.") from error
            skipped.append(
                FileIssue(printable(folder.relative_to(root)), f"cannot be read: {error.strerror}")
            )
            continue
        for entry in visible:
            if entry.is_dir(follow_symlinks=False):
                if Path(entry.path) not in exclude:
                    folders.append(Path(entry.path))
            elif entry.name not in ABOUT_FILES:
                result = _examine(entry, root)
                if isinstance(result, CandidateFile):
                    candidates.append(result)
                else:
                    skipped.append(result)
    return sorted(candidates), sorted(skipped)


def printable(path: Path) -> str:
    """Return a path as text that can be displayed, with escapes where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _examine(entry: os.DirEntry[str], root: Path) -> CandidateFile | FileIssue:
    path = Path(entry.path).relative_to(root)
    shown = printable(path)
    if os.fsencode(path) != shown.encode():
        return FileIssue(shown, "its name is not UTF-8")
    if entry.is_symlink():
        target = Path(os.path.realpath(entry.path))  # Path.resolve raises on a link to itself
        if not target.is_relative_to(root):
            return FileIssue(shown, "a link out of the folder")
        if target.is_dir():
            return FileIssue(shown, "a link to a folder")
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in _OTHER_SUFFIXES:
        return FileIssue(shown, f"not a picture ({suffix})")
    try:
        status = entry.stat()
        if not entry.is_file():
            return FileIssue(shown, "not a regular file")
    except OSError as error:
        return FileIssue(shown, f"cannot be read: {error.strerror}")
    return CandidateFile(path.as_posix(), status.st_size, status.st_mtime_ns)
