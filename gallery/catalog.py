"""The items of an index without their features: everything that pages show.

Called by the pages, `gallery.store` and the commands. Standard library alone, so that the web process does
not load NumPy.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import unicodedata
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gallery.about import is_demo, read_samples
from gallery.closable import Closable
from gallery.errors import IndexCorruptError, ItemMissingError, StoreError
from gallery.generations import Generation, open_current
from gallery.manifest import ITEMS, Manifest

THUMBNAIL_SIDE = 320
LARGE_SIDE = 1600
THUMBNAIL_SUFFIX = ".jpg"

COLUMNS = "path, sha256, size, mtime, width, height, format"
_VARIABLES = 900


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of the gallery.

    Attributes
    ----------
    id : str
        First 16 hexadecimal digits of the SHA-256 of `path`: the same in every index of this gallery.
    path : str
        POSIX path relative to the manifest's root.
    sha256 : str
        Of the file's bytes; empty for an imported feature whose file was missing.
    size, mtime : int
        Bytes, and nanoseconds since 1970, of the file when it was indexed.
    width, height : int
        Pixels, after EXIF orientation.
    format : str
        One of `model.pictures.FORMATS`.
    """

    id: str
    path: str
    sha256: str
    size: int
    mtime: int
    width: int
    height: int
    format: str

    @property
    def name(self) -> str:
        """File name without folders."""
        return PurePosixPath(self.path).name


class Catalog(Closable):
    """The items of one generation, sorted by path; safe to share between threads and across a fork.

    The position of an item in this order is its row, in ``features.npy`` too.

    Parameters
    ----------
    generation : Generation
        Held open until `close`.

    Raises
    ------
    IndexCorruptError
        ``items.db`` differs from what was written.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._reader = _Reader(generation.verified(ITEMS))
        found = int(self._reader.rows("SELECT count(*) FROM items", ())[0][0])
        if found != len(self):
            raise IndexCorruptError(f"{generation.path / ITEMS} has {found} items, {len(self)} expected.")

    @classmethod
    def open(cls, index_dir: Path) -> Catalog:
        """Open the generation in use.

        Raises
        ------
        IndexMissingError, IndexCorruptError
            There is no index, or no sound generation.
        """
        return open_current(index_dir, cls)

    def __len__(self) -> int:
        return self.manifest.count

    @property
    def generation(self) -> str:
        """Name of the generation."""
        return self._generation.name

    @property
    def manifest(self) -> Manifest:
        """Root, model, fingerprint, attribution and more."""
        return self._generation.manifest

    @property
    def replaces_damaged(self) -> bool:
        """Whether this is an older generation, opened because the newest one is damaged."""
        return self._generation.replaces_damaged

    def stale(self) -> bool:
        """Return whether another generation has come into use since this one was opened."""
        return self._generation.stale()

    def get(self, item_id: str) -> Item | None:
        """Return the item with an id, or None."""
        items = self._items("WHERE id = ?", (item_id,))
        return items[0] if items else None

    def find(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """Return the items with these ids, keyed by id; unknown ids are left out."""
        found: dict[str, Item] = {}
        for start in range(0, len(item_ids), _VARIABLES):
            part = tuple(item_ids[start : start + _VARIABLES])
            found.update((item.id, item) for item in self._items(f"WHERE id IN ({_marks(part)})", part))
        return found

    def at(self, row: int) -> Item:
        """Return the item in a row.

        Raises
        ------
        IndexError
            There is no such row.
        """
        items = self._items("WHERE row = ?", (row,))
        if not items:
            raise IndexError(f"no row {row} among {len(self)}")
        return items[0]

    def row(self, item_id: str) -> int:
        """Return the row of an item.

        Raises
        ------
        ItemMissingError
            The index has no such item.
        """
        found = self._read("SELECT row FROM items WHERE id = ?", (item_id,))
        if not found:
            raise ItemMissingError(f"The index has no item {item_id!r}.")
        return int(found[0][0])

    def rows(self, rows: Sequence[int]) -> list[Item]:
        """Return the items in several rows, in the order given."""
        numbers = [int(row) for row in rows]
        items: dict[int, Item] = {}
        for start in range(0, len(numbers), _VARIABLES):
            part = tuple(numbers[start : start + _VARIABLES])
            items.update(self._numbered(f"WHERE row IN ({_marks(part)})", part))
        return [items[row] for row in numbers]

    def page(self, offset: int, limit: int, query: str = "") -> list[Item]:
        """Return up to `limit` items sorted by path; with `query`, only those whose path contains it.

        Case and Unicode variants of a character make no difference.
        """
        if not query:
            return self._items("WHERE row >= ? AND row < ? ORDER BY row", (offset, offset + limit))
        condition = "WHERE instr(folded, ?) ORDER BY row LIMIT ? OFFSET ?"
        return self._items(condition, (folded(query), limit, offset))

    def count(self, query: str = "") -> int:
        """Return the number of items; with `query`, of those whose path contains it, as in `page`."""
        if not query:
            return len(self)
        found = self._read("SELECT count(*) FROM items WHERE instr(folded, ?)", (folded(query),))
        return int(found[0][0])

    def samples(self, limit: int) -> list[Item]:
        """Return example queries: the items that ``SAMPLES.txt`` names, else some at even distances."""
        listed = [self.get(item_id(path)) for path in read_samples(Path(self.manifest.root))[:limit]]
        known = [item for item in listed if item is not None]
        count = min(limit, len(self))
        return known or self.rows([(2 * number + 1) * len(self) // (2 * count) for number in range(count)])

    def is_demo(self) -> bool:
        """Return whether the pictures are the pictograms of the demo gallery."""
        return is_demo(Path(self.manifest.root))

    def contents(self) -> set[str]:
        """Return the SHA-256 of every picture file of the generation."""
        return {sha256 for (sha256,) in self._read("SELECT DISTINCT sha256 FROM items", ()) if sha256}

    def file(self, item: Item) -> Path:
        """Return the path of an item's file, which may be missing by now.

        Raises
        ------
        StoreError
            The path leads out of the gallery's folder, through a link made after indexing.
        """
        root = os.path.realpath(self.manifest.root)
        path = Path(os.path.realpath(Path(root, item.path)))  # Path.resolve raises on a link to itself
        if not path.is_relative_to(root):
            raise StoreError(f"{item.path} leads out of the gallery's folder.")
        return path

    def close(self) -> None:
        """Release the generation."""
        self._reader.close()
        self._generation.close()

    def _items(self, condition: str, values: tuple[object, ...]) -> list[Item]:
        return [item for _, item in self._numbered(condition, values)]

    def _numbered(self, condition: str, values: tuple[object, ...]) -> list[tuple[int, Item]]:
        found = self._read(f"SELECT row, id, {COLUMNS} FROM items {condition}", values)  # noqa: S608
        return [(row, Item(*rest)) for row, *rest in found]

    def _read(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        if self._reader.process != os.getpid():
            self._reader = _Reader(self._reader.path, inherited=self._reader)
        return self._reader.rows(sql, values)


class _Reader:
    """A SQLite connection and its lock, for one process: SQLite forbids using a connection across a fork.

    A child keeps its parent's reader and never touches it, because it must not close the parent's connection.
    """

    def __init__(self, path: Path, inherited: _Reader | None = None) -> None:
        self.path = path
        self.process = os.getpid()
        self._inherited = inherited
        self._lock = threading.Lock()
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        self._closer = weakref.finalize(self, self._connection.close)
        self._closer.atexit = False

    def rows(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IndexCorruptError(f"{self.path} cannot be read: {error}") from error

    def close(self) -> None:
        if self.process == os.getpid():
            self._closer()


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def item_id(path: str) -> str:
    """Return the id of the item at a relative POSIX path."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def folded(text: str) -> str:
    """Return text in the form that is compared: case-folded, and normalised by NFKC."""
    return unicodedata.normalize("NFKC", text).casefold()


def thumbnail_file(thumbnails_dir: Path, sha256: str, *, large: bool = False) -> Path:
    """Return the path of the thumbnail of a picture, whether it exists or not.

    Parameters
    ----------
    thumbnails_dir : Path
        Shared by the indexes of all models.
    sha256 : str
        Of the picture file.
    large : bool
        The thumbnail of `LARGE_SIDE` pixels, made only for formats outside
        `model.pictures.BROWSER_FORMATS`.
    """
    return thumbnails_dir / sha256[:2] / f"{sha256}{'-large' if large else ''}{THUMBNAIL_SUFFIX}"
