"""Immutable generations of an index, and the pointer to the one in use.

::

    <index>/CURRENT                     name of the generation in use; replaced by one rename
    <index>/generations/<name>/         features.npy, items.db, manifest.json; never changed once written

A name consists of a running number and the first 16 hexadecimal digits of the manifest's SHA-256, and the
manifest contains the SHA-256 of the other files, so that the pointer verifies everything. A reader holds a
shared lock on its generation's folder (`flock`, inherited by forked children); only a generation without
readers is ever removed.

Read through `gallery.catalog` and `gallery.store`, written through `gallery.writer`. No NumPy, because the
pages import it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gallery.errors import IndexCorruptError, IndexMissingError, StoreError
from gallery.manifest import MANIFEST, Manifest
from model.files import replacing, sha256_file, sync_folder, try_lock

CURRENT = "CURRENT"
KEEP_PREVIOUS = 1

_GENERATIONS = "generations"
_STAGING = ".staging"
_NAME = re.compile(r"\d{8}-[0-9a-f]{16}")

log = logging.getLogger(__name__)
T = TypeVar("T")


class Generation:
    """One generation, held for reading until closed or collected.

    Parameters
    ----------
    index_dir : Path
        The index.
    name : str
        Which generation.
    pointer : str
        Content of ``CURRENT`` when this one was chosen; another name if that generation is damaged.

    Raises
    ------
    FileNotFoundError
        The generation does not exist, or is being removed.
    IndexCorruptError
        Its manifest does not match its name.
    """

    def __init__(self, index_dir: Path, name: str, pointer: str) -> None:
        self.index_dir = index_dir
        self.name = name
        self.path = index_dir / _GENERATIONS / name
        self._pointer = pointer
        self._release = weakref.finalize(self, os.close, _hold(self.path))
        text = (self.path / MANIFEST).read_bytes()
        if hashlib.sha256(text).hexdigest()[:16] != name[-16:]:
            raise IndexCorruptError(f"{self.path / MANIFEST} has been changed since it was written.")
        self.manifest = Manifest.from_bytes(text)

    @property
    def replaces_damaged(self) -> bool:
        """Whether ``CURRENT`` names another generation, which is damaged."""
        return self.name != self._pointer

    def stale(self) -> bool:
        """Return whether ``CURRENT`` has changed since this generation was chosen."""
        try:
            return _read_pointer(self.index_dir) != self._pointer
        except IndexMissingError:
            return True

    def verified(self, file: str, *, contents: bool = True) -> Path:
        """Return the path of a file after comparing the file with the manifest.

        Parameters
        ----------
        file : str
            Name of a file in the manifest.
        contents : bool
            Compare the SHA-256 too, not only the size.

        Raises
        ------
        IndexCorruptError
            The file is missing or differs.
        """
        path, expected = self.path / file, self.manifest.files.get(file)
        if expected is None:
            raise IndexCorruptError(f"{self.path / MANIFEST} names no {file}.")
        try:
            size = path.stat().st_size
            sound = size == expected.size and (not contents or sha256_file(path) == expected.sha256)
        except OSError as error:
            raise IndexCorruptError(f"{path} cannot be read: {error.strerror}.") from error
        if not sound:
            raise IndexCorruptError(
                f"{path} has been changed since it was written ({size} bytes, {expected.size} expected); "
                f"index again: {self.manifest.reindex_command}"
            )
        return path

    def close(self) -> None:
        """Release the generation, which may then be removed."""
        self._release()


def open_current(index_dir: Path, use: Callable[[Generation], T]) -> T:
    """Open the generation in use or, if it is damaged, the newest sound one before it.

    Every damaged generation is logged as an error.

    Parameters
    ----------
    index_dir : Path
        The index.
    use : callable
        Checks a generation and returns what the caller needs; if it raises `IndexCorruptError`, the next
        older generation is tried.

    Raises
    ------
    IndexMissingError
        There is no index.
    IndexCorruptError
        No generation is sound; the error describes the newest one.
    """
    pointer = _read_pointer(index_dir)
    first: IndexCorruptError | None = None
    for name in _candidates(index_dir, pointer):
        try:
            generation = Generation(index_dir, name, pointer)
        except FileNotFoundError as error:
            if _read_pointer(index_dir) != pointer:
                return open_current(index_dir, use)  # swapped and removed since the pointer was read
            damage = IndexCorruptError(f"{error.filename} is missing; index again: flask gallery index DIR")
        except IndexCorruptError as error:
            damage = error
        else:
            try:
                return use(generation)
            except IndexCorruptError as error:
                generation.close()
                damage = error
            except BaseException:
                generation.close()
                raise
        log.error("generation %s is refused: %s", name, damage)
        first = first or damage
    raise first or IndexCorruptError(
        f"{index_dir / CURRENT} names no generation, and none exists; index again: flask gallery index DIR"
    )


def names(index_dir: Path) -> list[str]:
    """Return the names of the complete generations, newest first."""
    try:
        found = [path.name for path in (index_dir / _GENERATIONS).iterdir()]
    except FileNotFoundError:
        return []
    return sorted((name for name in found if _NAME.fullmatch(name)), reverse=True)


def staging(index_dir: Path) -> Path:
    """Return an empty folder for the next generation; the caller holds the index's lock."""
    path = index_dir / _GENERATIONS / _STAGING
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def install(index_dir: Path, manifest: Manifest) -> str:
    """Turn the staged files into a generation, point ``CURRENT`` to it, and return its name.

    Everything reaches the disk before the rename that makes it visible: after a crash, either the old
    generation is in use or the new one. The caller holds the index's lock.
    """
    folder, text = index_dir / _GENERATIONS, manifest.to_bytes()
    newest = next(iter(names(index_dir)), "0")
    name = f"{int(newest[:8]) + 1:08d}-{hashlib.sha256(text).hexdigest()[:16]}"
    with replacing(folder / _STAGING / MANIFEST, sync=True, sync_name=True) as file:
        file.write(text)
    (folder / _STAGING).rename(folder / name)
    sync_folder(folder)
    draft = index_dir / f"{CURRENT}.next"
    with replacing(index_dir / CURRENT, draft=draft, sync=True, sync_name=True) as file:
        file.write(f"{name}\n".encode())
    return name


def remove_unused(index_dir: Path) -> list[str]:
    """Remove generations without readers that are older than the previous one, and return their names.

    The caller holds the index's lock.
    """
    try:
        current = _read_pointer(index_dir)
    except IndexMissingError:
        return []
    older = [name for name in names(index_dir) if name < current]
    removed = []
    for name in older[KEEP_PREVIOUS:]:
        path = index_dir / _GENERATIONS / name
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if try_lock(descriptor):
                shutil.rmtree(path)
                removed.append(name)
            else:
                log.info("generation %s is still being read", name)
        finally:
            os.close(descriptor)
    return removed


def _hold(path: Path) -> int:
    """Take the shared lock of a generation's folder, and return the descriptor that holds it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    if not try_lock(descriptor, shared=True):
        os.close(descriptor)
        raise FileNotFoundError(2, "being removed", str(path))
    return descriptor


def _read_pointer(index_dir: Path) -> str:
    try:
        return (index_dir / CURRENT).read_text(encoding="ascii", errors="replace").removesuffix("\n")
    except FileNotFoundError as error:
        raise IndexMissingError(
            f"There is no index in {index_dir}; make one with: flask gallery index DIR"
        ) from error
    except OSError as error:
        raise StoreError(f"{index_dir / CURRENT} cannot be read: {error.strerror}.") from error


def _candidates(index_dir: Path, pointer: str) -> list[str]:
    """Return the generation in use, then the older ones; all of them if the pointer itself is damaged."""
    if _NAME.fullmatch(pointer):
        return [pointer, *(name for name in names(index_dir) if name < pointer)]
    return names(index_dir)
