"""From a folder of pictures to a new generation of its index."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gallery.catalog import Item, item_id
from gallery.encoding import BATCH_SIZE, Located, Progress, encode_files
from gallery.errors import IndexCorruptError, IndexMissingError, StoreError
from gallery.featurelog import FeatureLog
from gallery.files import writing
from gallery.locks import exclusive
from gallery.notes import attribution
from gallery.reading import Encoder, PictureReader
from gallery.scanning import Found, Skipped, scan
from gallery.store import Store
from gallery.thumbnails import Thumbnails
from gallery.writer import write_generation
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo

_LOG = "progress.log"
_ROWS = 4096
_CLOCK_GRAIN = 2_000_000_000
"""Nanoseconds: a file changed so shortly before a scan may change again and keep its time (FAT: 2 s)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Attributes
    ----------
    indexed, reused : int
        Pictures that were encoded now, and those whose vector was there already.
    removed : int
        Pictures of the generation before that are no longer in the index.
    skipped : list of Skipped
        Path and reason of each file that was left out.
    seconds : float
        How long it took.
    generation : str
        The generation in use now; the one before where nothing had changed.
    """

    indexed: int
    reused: int
    removed: int
    skipped: list[Skipped]
    seconds: float
    generation: str

    @property
    def count(self) -> int:
        """Pictures in the index."""
        return self.indexed + self.reused


def build(
    root: Path,
    index_dir: Path,
    encoder: Encoder,
    *,
    thumbnails_dir: Path,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Bring an index up to date with a folder.

    Only new contents are encoded. A run that was killed left what it had done in a log, and the next run
    goes on from there. Files that cannot be used are reported, files that are gone are dropped.

    Parameters
    ----------
    root : Path
        The folder.
    index_dir : Path
        The index; made where it is missing.
    encoder : Encoder
        Its fingerprint goes into the index.
    thumbnails_dir : Path
        Where thumbnails are made on the way.
    batch_size : int
        Pictures encoded together.
    workers : int, optional
        Threads that read and decode; one for each core unless given.
    progress : callable, optional
        Called with the number of files done and of all.

    Raises
    ------
    IndexBusyError
        Another process is indexing.
    StoreError
        No picture can be used, or the disk is full. The generation in use stays what it was.
    """
    started, root = time.monotonic(), root.expanduser().resolve()
    with writing(index_dir), exclusive(index_dir), _Before(index_dir, root, encoder.fingerprint) as before:
        scanned, text = time.time_ns(), attribution(root)
        found, skipped = scan(root, leave_out={index_dir.resolve(), thumbnails_dir.resolve()})
        with FeatureLog(index_dir / _LOG, encoder.fingerprint) as features:
            known, already = _Known(before, features), len(features)
            reader = PictureReader(root, encoder, known.info, Thumbnails(thumbnails_dir))
            located, refused = encode_files(
                found, reader, encoder, features,
                unchanged=before.unchanged, batch_size=batch_size, workers=workers, progress=progress,
            )  # fmt: skip
            skipped = sorted(skipped + refused)
            if not located:
                raise _no_picture(root, skipped)
            items = [known.item(file) for file in located]
            generation = before.same(items, text) or write_generation(
                index_dir, items, known.blocks(items), model=encoder.name, fingerprint=encoder.fingerprint,
                root=root, attribution=text, scanned=scanned,
            )  # fmt: skip
            indexed = len(features) - already
        (index_dir / _LOG).unlink()
        removed = before.removed(items)
    seconds = time.monotonic() - started
    return Report(indexed, len(items) - indexed, removed, skipped, seconds, generation)


def _no_picture(root: Path, skipped: list[Skipped]) -> StoreError:
    # An index that was good is not emptied because, say, a disk is not mounted.
    first = f", such as {skipped[0].path} ({skipped[0].reason})" if skipped else ""
    return StoreError(f"No picture in {root} can be used; {len(skipped)} files were left out{first}.")


class _Before:
    """The generation in use when a run begins, if there is a sound one, and what of it still holds.

    Paths hold for the same root only, vectors for the same encoder only.
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
        vectors = enumerate(self._items) if self._same_encoder else ()
        self.rows = {item.sha256: row for row, item in vectors if item.sha256}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            self._store.close()

    def unchanged(self, found: Found) -> str | None:
        """Return the SHA-256 of a file that has the size and time it had."""
        item = self._by_path.get(found.path)
        if item is None or (item.size, item.mtime) != (found.size, found.mtime):
            return None
        return item.sha256 if item.mtime < self._scanned - _CLOCK_GRAIN else None

    def info(self, sha256: str) -> PictureInfo | None:
        """Return format and size of a picture whose vector is here."""
        row = self.rows.get(sha256)
        if row is None:
            return None
        item = self._items[row]
        return PictureInfo(item.format, item.width, item.height)

    def vectors(self, rows: list[int]) -> NDArray[np.float32]:
        """Return the vectors of some rows, float32, shape (n, D)."""
        return np.asarray(self._features[rows])

    def same(self, items: list[Item], text: str) -> str | None:
        """Return the name of the generation where it says all this already."""
        store = self._store
        if store is None or store.catalog.replaces_damaged or not (self._same_root and self._same_encoder):
            return None
        unchanged = store.catalog.manifest.attribution == text and self._items == items
        return store.generation if unchanged else None

    def removed(self, items: list[Item]) -> int:
        """Return how many of its pictures are not among these."""
        return len({item.path for item in self._items} - {item.path for item in items})


class _Known:
    """The vectors of the generation before and of the log, as one."""

    def __init__(self, before: _Before, features: FeatureLog) -> None:
        self._before = before
        self._features = features

    def info(self, sha256: str) -> PictureInfo | None:
        return self._features.info(sha256) or self._before.info(sha256)

    def item(self, file: Located) -> Item:
        path, size, mtime = file.found
        info = self.info(file.sha256)
        if info is None:
            raise StoreError(f"{path} has no vector.")
        return Item(item_id(path), path, file.sha256, size, mtime, info.width, info.height, info.format)

    def blocks(self, items: list[Item]) -> Iterator[NDArray[np.float32]]:
        """Yield the items' vectors in order, a few thousand at a time."""
        for start in range(0, len(items), _ROWS):
            contents = [item.sha256 for item in items[start : start + _ROWS]]
            rows = [self._before.rows.get(sha256, -1) for sha256 in contents]
            old = [place for place, row in enumerate(rows) if row >= 0]
            new = [place for place, row in enumerate(rows) if row < 0]
            block = np.empty((len(contents), self._features.dim), np.float32)
            if old:
                block[old] = self._before.vectors([rows[place] for place in old])
            if new:
                block[new] = self._features.vectors([contents[place] for place in new])
            yield block


def _open(index_dir: Path) -> Store | None:
    try:
        return Store.open(index_dir)
    except IndexMissingError:
        return None
    except IndexCorruptError as error:
        log.error("no vector of the index can be used again: %s", error)
        return None
