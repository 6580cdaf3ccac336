"""Which files of a folder may be pictures."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gallery.errors import StoreError
from gallery.notes import NOTES

# Only suffixes that no picture bears: everything else is judged by its content, not by its name.
# fmt: off
_NO_PICTURES = frozenset((
    ".7z", ".avi", ".bz2", ".c", ".cfg", ".cpp", ".css", ".csv", ".db", ".doc", ".docx", ".gz", ".h",
    ".htm", ".html", ".ini", ".ipynb", ".js", ".json", ".jsonl", ".log", ".m4a", ".md", ".mkv", ".mov",
    ".mp3", ".mp4", ".npy", ".npz", ".ods", ".odt", ".parquet", ".pdf", ".ppt", ".pptx", ".pth", ".py",
    ".rar", ".rst", ".safetensors", ".sh", ".sqlite", ".svg", ".tar", ".tex", ".tgz", ".toml", ".tsv",
    ".txt", ".wav", ".webm", ".xls", ".xlsx", ".xml", ".xmp", ".xz", ".yaml", ".yml", ".zip", ".zst",
))
# fmt: on


class Found(NamedTuple):
    """A file that may be a picture: relative POSIX path, bytes, and time of change in nanoseconds."""

    path: str
    size: int
    mtime: int


class Skipped(NamedTuple):
    """A file or folder that was left out, and why."""

    path: str
    reason: str


def scan(root: Path, leave_out: Collection[Path] = ()) -> tuple[list[Found], list[Skipped]]:
    """Walk a folder and all below it.

    Hidden names are passed over in silence. Links to folders are not followed, links to files only when they
    stay inside `root`.

    Parameters
    ----------
    root : Path
        Where to begin; resolved.
    leave_out : collection of Path
        Folders not to enter, such as our own index; resolved.

    Returns
    -------
    found : list of Found
        Sorted by path.
    skipped : list of Skipped
        What cannot be a picture or cannot be read.

    Raises
    ------
    StoreError
        `root` is no folder that can be read.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is no folder.")
    found: list[Found] = []
    skipped: list[Skipped] = []
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if folder == root:
                raise StoreError(f"{root} cannot be read: {error.strerror}.") from error
            skipped.append(Skipped(printable(folder.relative_to(root)), f"cannot be read: {error.strerror}"))
            continue
        for entry in visible:
            if entry.is_dir(follow_symlinks=False):
                if Path(entry.path) not in leave_out:
                    folders.append(Path(entry.path))
            elif entry.name not in NOTES:
                result = _judge(entry, root)
                if isinstance(result, Found):
                    found.append(result)
                else:
                    skipped.append(result)
    return sorted(found), sorted(skipped)


def printable(path: Path) -> str:
    """Return a path as text that can be shown even where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _judge(entry: os.DirEntry[str], root: Path) -> Found | Skipped:
    path = Path(entry.path).relative_to(root)
    shown = printable(path)
    if os.fsencode(path) != shown.encode():
        return Skipped(shown, "its name is not UTF-8")
    if entry.is_symlink():
        target = Path(os.path.realpath(entry.path))  # Path.resolve raises on a link to itself
        if not target.is_relative_to(root):
            return Skipped(shown, "a link out of the folder")
        if target.is_dir():
            return Skipped(shown, "a link to a folder")
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in _NO_PICTURES:
        return Skipped(shown, f"not a picture ({suffix})")
    try:
        status = entry.stat()
        if not entry.is_file():
            return Skipped(shown, "not a regular file")
    except OSError as error:
        return Skipped(shown, f"cannot be read: {error.strerror}")
    return Found(path.as_posix(), status.st_size, status.st_mtime_ns)
