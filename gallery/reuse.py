"""What an indexing run can reuse: the generation in use, and features that were encoded before.

Called by `gallery.indexing` only, under the lock of the index.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gallery.about import is_demo
from gallery.catalog import Item, item_id
from gallery.closable import Closable
from gallery.encoding import HashedFile
from gallery.errors import (
    IndexCorruptError,
    IndexMissingError,
    ManyMissingError,
    OtherGalleryError,
    StoreError,
)
from gallery.scanning import CandidateFile
from gallery.store import Store
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo

_ROWS = 4096
_FEW, _MANY = 5, 0.1  # number, and share of all items, that may go without a question
_CLOCK_GRAIN = 2_000_000_000
"""Nanoseconds. A file changed this shortly before a scan may change again without a new time (FAT: 2 s)."""

log = logging.getLogger(__name__)


class Previous(Closable):
    """The generation in use when a run begins, if any, and what can be reused of it.

    Paths can be reused for the same root only, features for the same encoder only.
    """

    def __init__(self, index_dir: Path, root: Path, fingerprint: Fingerprint) -> None:
        self._store = _open(index_dir)
        self._items: list[Item] = []
        self._features = np.empty((0, fingerprint.dim), np.float32)
        self._scanned = 0
        self._same_root = self._same_encoder = False
        if self._store is not None:
            manifest = self._store.catalog.manifest
            self._items = self._store.catalog.page(0, manifest.count)
            self._features = self._store.features
            self._scanned = manifest.scanned
            self._same_root = manifest.root == str(root)
            self._same_encoder = self._store.fingerprint == fingerprint
        self._by_path = {item.path: item for item in self._items} if self._same_root else {}
        reusable = enumerate(self._items) if self._same_encoder else ()
        self._rows = {item.sha256: row for row, item in reusable if item.sha256}

    def close(self) -> None:
        """Close the generation."""
        if self._store is not None:
            self._store.close()

    def unchanged(self, file: CandidateFile) -> str | None:
        """Return the SHA-256 of a file with the same size and time of change as before, else None."""
        item = self._by_path.get(file.path)
        if item is None or (item.size, item.mtime) != (file.size, file.mtime):
            return None
        return item.sha256 if item.mtime < self._scanned - _CLOCK_GRAIN else None

    def info(self, sha256: str) -> PictureInfo | None:
        """Return format and size of a picture whose feature can be reused, else None."""
        row = self._rows.get(sha256)
        if row is None:
            return None
        item = self._items[row]
        return PictureInfo(item.format, item.width, item.height)

    def features(self, sha256s: list[str]) -> NDArray[np.float32]:
        """Return the features of some pictures, float32, shape (n, D)."""
        return np.asarray(self._features[[self._rows[sha256] for sha256 in sha256s]])

    def same(self, items: list[Item], attribution: str) -> str | None:
        """Return the generation's name if a new one would be equal, else None."""
        store = self._store
        if store is None or store.catalog.replaces_damaged or not (self._same_root and self._same_encoder):
            return None
        unchanged = store.catalog.manifest.attribution == attribution and self._items == items
        return store.generation if unchanged else None

    def check_root(self, root: Path) -> None:
        """Refuse another folder than before, except in place of the demo gallery, which can be drawn again.

        Raises
        ------
        OtherGalleryError
            The index is of another folder.
        """
        if self._store is None or self._same_root:
            return
        manifest = self._store.catalog.manifest
        if not is_demo(Path(manifest.root)):
            raise OtherGalleryError(manifest.root, manifest.count, str(root))

    def check_missing(self, items: list[Item], root: Path) -> None:
        """Refuse to remove more than `_MANY` of the items, since a disk may only be absent for now.

        A picture that has been moved or changed is not missing.

        Raises
        ------
        ManyMissingError
            More items are missing than that.
        """
        if not self._same_root:
            return
        paths, contents = {item.path for item in items}, {item.sha256 for item in items}
        missing = [
            item.path for item in self._items if item.path not in paths and item.sha256 not in contents
        ]
        if len(missing) > max(_FEW, _MANY * len(self._items)):
            raise ManyMissingError(str(root), missing, len(self._items))

    def removed(self, items: list[Item]) -> int:
        """Return how many of the generation's pictures are missing among these items."""
        return len({item.path for item in self._items} - {item.path for item in items})

    def left(self, items: list[Item]) -> Iterator[tuple[str, PictureInfo, NDArray[np.float32]]]:
        """Yield the pictures whose contents are not among these items, for `RemovedFeatures.keep`."""
        contents = {item.sha256 for item in items}
        for sha256, row in self._rows.items():
            item = self._items[row]
            if sha256 not in contents:
                yield sha256, PictureInfo(item.format, item.width, item.height), self._features[row]


class _Features(Protocol):
    """A place where features are found by the SHA-256 of the picture."""

    def info(self, sha256: str) -> PictureInfo | None:
        """Return format and size of a picture whose feature is here, else None."""

    def features(self, sha256s: list[str]) -> NDArray[np.float32]:
        """Return the features of pictures that are here, float32, shape (n, D)."""


class KnownFeatures:
    """The features of several places together; the first place that has a picture wins."""

    def __init__(self, dim: int, *places: _Features) -> None:
        self._dim = dim
        self._places = places

    def info(self, sha256: str) -> PictureInfo | None:
        """Return format and size of a picture that has a feature, else None."""
        return next((info for place in self._places if (info := place.info(sha256))), None)

    def item(self, hashed: HashedFile) -> Item:
        """Return the item of a file that has a feature."""
        path, size, mtime = hashed.file
        info = self.info(hashed.sha256)
        if info is None:
            raise StoreError(f"{path} has no feature.")
        return Item(item_id(path), path, hashed.sha256, size, mtime, info.width, info.height, info.format)

    def blocks(self, items: list[Item]) -> Iterator[NDArray[np.float32]]:
        """Yield the items' features in order, a few thousand at a time."""
        for start in range(0, len(items), _ROWS):
            contents = [item.sha256 for item in items[start : start + _ROWS]]
            block = np.empty((len(contents), self._dim), np.float32)
            waiting = list(range(len(contents)))
            for place in self._places:
                here = [at for at in waiting if place.info(contents[at])]
                waiting = [at for at in waiting if not place.info(contents[at])]
                if here:
                    block[here] = place.features([contents[at] for at in here])
            yield block


def _open(index_dir: Path) -> Store | None:
    try:
        return Store.open(index_dir)
    except IndexMissingError:
        return None
    except IndexCorruptError as error:
        log.error("the index is damaged and no feature of it is reused: %s", error)
        return None
