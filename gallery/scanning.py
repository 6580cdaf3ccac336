"""List the files of a folder that may be pictures.

Called by indexing and evaluation; standard library alone. Nothing is opened here: what a file holds is
judged when it is read (`gallery.reading`).
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gallery.about import ABOUT_FILES
from gallery.errors import StoreError
from gallery.folders import check_root, identity

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


IGNORED_NAMES = (
    ".*",  # hidden: .Trash-1000, .Trashes, .thumbnails, .dtrash, .@__thumb, .DS_Store, .git
    "@eaDir", "#recycle", "#snapshot", "@tmp",  # Synology: thumbnails, deleted files, old versions
    "@Recycle", "@Recently-Snapshot",  # QNAP
    "~snapshot",  # NetApp
    "$RECYCLE.BIN", "RECYCLER", "System Volume Information",  # Windows
    "__MACOSX",  # macOS, in archives
    "lost+found",  # Linux
    "*.lrdata",  # previews of Adobe Lightroom
)  # fmt: skip
"""Names of files and folders that are ignored: copies, thumbnails and deleted files that other systems keep.

Patterns of `fnmatch` for a name without its folder; case does not matter.
"""


class CandidateFile(NamedTuple):
    """A file that may be a picture.

    Attributes
    ----------
    path : str
        Relative POSIX path.
    size : int
        Bytes.
    mtime : int
        Time of the last change by `change_time`, in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime: int


def change_time(status: os.stat_result) -> int:
    """Return a file's time of change in nanoseconds since 1970, limited to the years 1677 to 2262.

    Dates outside are rare and wrong, such as from a damaged camera clock, but do not fit in the 64 bits that
    SQLite stores.
    """
    return max(-(2**63), min(status.st_mtime_ns, 2**63 - 1))


class FileIssue(NamedTuple):
    """The path of a file or folder, and why it was skipped, is missing or has changed."""

    path: str
    reason: str


def scan(
    root: Path, exclude: Collection[Path] = (), ignore: Collection[str] = ()
) -> tuple[list[CandidateFile], list[FileIssue]]:
    """List the files of a folder and of all folders below it.

    Names that match `IGNORED_NAMES` are ignored without a report. Links to folders are not followed, links to
    files only where they stay inside `root`.

    Parameters
    ----------
    root : Path
        Resolved folder.
    exclude : collection of Path
        Folders never to enter, such as ``DATA_DIR`` with its private uploads. They are recognised by device
        and inode, whatever path leads to them: links and bind mounts included.
    ignore : collection of str
        Patterns in addition to `IGNORED_NAMES`.

    Returns
    -------
    candidates : list of CandidateFile
        Sorted by path.
    skipped : list of FileIssue
        Files that cannot be pictures, and files and folders that cannot be read; sorted by path.

    Raises
    ------
    StoreError
        `root` is not a folder, is an excluded one, or cannot be read.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is not a folder.")
    check_root(root, exclude)
    excluded = {found for folder in exclude if (found := identity(folder)) is not None}
    candidates: list[CandidateFile] = []
    skipped: list[FileIssue] = []
    for entry in _files(root, excluded, skipped, name_matcher(ignore)):
        result = _examine(entry, root, excluded)
        if isinstance(result, CandidateFile):
            candidates.append(result)
        else:
            skipped.append(result)
    return sorted(candidates), sorted(skipped)


def name_matcher(ignore: Collection[str] = ()) -> Callable[[str], object]:
    """Return a function that is true for names that match `IGNORED_NAMES` or one of these patterns."""
    patterns = [fnmatch.translate(pattern) for pattern in (*IGNORED_NAMES, *ignore)]
    return re.compile("|".join(patterns), re.IGNORECASE).match


def printable(path: Path) -> str:
    """Return a path as text that can be displayed, with escapes where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _files(
    root: Path,
    excluded: Collection[tuple[int, int]],
    skipped: list[FileIssue],
    ignored: Callable[[str], object],
) -> Iterator[os.DirEntry[str]]:
    """Yield the files below a folder that are not ignored, and add unreadable folders to `skipped`."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not ignored(entry.name)]
        except OSError as error:
            if folder == root:
                raise StoreError(f"{root} cannot be read: {error.strerror}.") from error
            shown = printable(folder.relative_to(root))
            skipped.append(FileIssue(shown, f"cannot be read: {error.strerror}"))
            continue
        for entry in visible:
            if not entry.is_dir(follow_symlinks=False):
                if entry.name not in ABOUT_FILES:
                    yield entry
            elif identity(Path(entry.path)) not in excluded:
                folders.append(Path(entry.path))


def _examine(
    entry: os.DirEntry[str], root: Path, excluded: Collection[tuple[int, int]]
) -> CandidateFile | FileIssue:
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
        if any(identity(folder) in excluded for folder in target.parents if folder.is_relative_to(root)):
            return FileIssue(shown, "a link into Vitrine's own data")
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in _OTHER_SUFFIXES:
        return FileIssue(shown, f"not a picture ({suffix})")
    try:
        status = entry.stat()
        if not entry.is_file():
            return FileIssue(shown, "not a regular file")
    except OSError as error:
        return FileIssue(shown, f"cannot be read: {error.strerror}")
    return CandidateFile(path.as_posix(), status.st_size, change_time(status))
