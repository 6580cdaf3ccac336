"""Bring an index up to date with a folder of pictures.

Called by ``flask gallery index`` and by the tests; `build` is the only entry. Imports the rest of `gallery`;
the encoder is an argument.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery.about import read_attribution
from gallery.catalog import Item, item_id
from gallery.closable import Closable
from gallery.encoding import BATCH_SIZE, HashedFile, Progress, encode_files
from gallery.errors import IndexCorruptError, IndexMissingError, StoreError
from gallery.featurelog import FeatureLog
from gallery.files import writing
from gallery.locks import exclusive
from gallery.reading import Encoder, PictureReader
from gallery.scanning import CandidateFile, FileIssue, scan
from gallery.store import Store
from gallery.thumbnails import Thumbnails
from gallery.writer import write_generation
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo

_LOG = "progress.log"
_ROWS = 4096
_CLOCK_GRAIN = 2_000_000_000
"""Nanoseconds. A file changed this shortly before a scan may change again without a new time (FAT: 2 s)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a run.

    Attributes
    ----------
    indexed, reused : int
        Number of pictures that were encoded, and of those that had a feature already.
    removed : int
        Number of pictures of the previous generation that are no longer in the index.
    skipped : list of FileIssue
        Path and reason of each file that was left out.
    seconds : float
        Duration of the run.
    generation : str
        The generation in use; the previous one if nothing has changed.
    damaged : list of FileIssue
        Path of each new picture that was used although its file is damaged, or cut off at its end.
    """

    indexed: int
    reused: int
    removed: int
    skipped: list[FileIssue]
    seconds: float
    generation: str
    damaged: list[FileIssue] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of pictures in the index."""
        return self.indexed + self.reused


def build(
    root: Path,
    index_dir: Path,
    encoder: Encoder,
    *,
    thumbnails_dir: Path,
    exclude: Collection[Path] = (),
    ignore: Collection[str] = (),
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Bring an index up to date with a folder.

    Only new contents are encoded. Features are logged batch by batch, so that an interrupted run resumes.
    Files that cannot be used are reported, and items whose file is missing are removed.

    Parameters
    ----------
    root : Path
        The gallery's folder.
    index_dir : Path
        The index; created if missing.
    encoder : Encoder
        Its fingerprint is stored in the index.
    thumbnails_dir : Path
        Where thumbnails are written.
    exclude : collection of Path
        Folders never to enter, besides the index and the thumbnails; see `gallery.scanning.scan`.
    ignore : collection of str
        Names of files and folders to ignore, besides `gallery.scanning.IGNORED_NAMES`.
    batch_size : int
        Number of pictures encoded together.
    workers : int, optional
        Number of threads that read and decode; one for each core by default.
    progress : callable, optional
        Called with the number of files done and the number of all files.

    Raises
    ------
    IndexBusyError
        Another process is indexing.
    StoreError
        No picture can be used, or the index cannot be written. The generation in use stays in use.
    """
    started, root = time.monotonic(), root.expanduser().resolve()
    with (
        writing(index_dir),
        exclusive(index_dir),
        _Previous(index_dir, root, encoder.fingerprint) as previous,
    ):
        scanned, attribution = time.time_ns(), read_attribution(root)
        files, skipped = scan(root, [*exclude, index_dir, thumbnails_dir], ignore)
        with FeatureLog(index_dir / _LOG, encoder.fingerprint) as feature_log:
            known, logged = _KnownFeatures(previous, feature_log), len(feature_log)
            reader = PictureReader(root, encoder, known.info, Thumbnails(thumbnails_dir))
            hashed, refused = encode_files(
                files, reader, encoder, feature_log,
                unchanged=previous.unchanged, batch_size=batch_size, workers=workers, progress=progress,
            )  # fmt: skip
            skipped = sorted(skipped + refused)
            if not hashed:
                raise _no_picture(root, skipped)
            items = [known.item(each) for each in hashed]
            generation = previous.same(items, attribution) or write_generation(
                index_dir, items, known.blocks(items), model=encoder.name, fingerprint=encoder.fingerprint,
                root=root, attribution=attribution, scanned=scanned,
            )  # fmt: skip
            indexed = len(feature_log) - logged
        (index_dir / _LOG).unlink()
        removed = previous.removed(items)
    seconds = time.monotonic() - started
    return Report(
        indexed, len(items) - indexed, removed, skipped, seconds, generation, sorted(reader.damaged)
    )


def _no_picture(root: Path, skipped: list[FileIssue]) -> StoreError:
    # An error instead of an empty index: the folder may be empty because its disk is not mounted.
    first = f", such as {skipped[0].path} ({skipped[0].reason})" if skipped else ""
    return StoreError(f"No picture in {root} can be used; files skipped: {len(skipped)}{first}.")


class _Previous(Closable):
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
        self.rows = {item.sha256: row for row, item in reusable if item.sha256}

    def close(self) -> None:
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
        row = self.rows.get(sha256)
        if row is None:
            return None
        item = self._items[row]
        return PictureInfo(item.format, item.width, item.height)

    def features(self, rows: list[int]) -> NDArray[np.float32]:
        """Return the features of some rows, float32, shape (n, D)."""
        return np.asarray(self._features[rows])

    def same(self, items: list[Item], attribution: str) -> str | None:
        """Return the generation's name if a new one would be equal, else None."""
        store = self._store
        if store is None or store.catalog.replaces_damaged or not (self._same_root and self._same_encoder):
            return None
        unchanged = store.catalog.manifest.attribution == attribution and self._items == items
        return store.generation if unchanged else None

    def removed(self, items: list[Item]) -> int:
        """Return how many of the generation's pictures are missing among these items."""
        return len({item.path for item in self._items} - {item.path for item in items})


class _KnownFeatures:
    """The features of the previous generation and of the log together."""

    def __init__(self, previous: _Previous, feature_log: FeatureLog) -> None:
        self._previous = previous
        self._feature_log = feature_log

    def info(self, sha256: str) -> PictureInfo | None:
        return self._feature_log.info(sha256) or self._previous.info(sha256)

    def item(self, hashed: HashedFile) -> Item:
        path, size, mtime = hashed.file
        info = self.info(hashed.sha256)
        if info is None:
            raise StoreError(f"{path} has no feature.")
        return Item(item_id(path), path, hashed.sha256, size, mtime, info.width, info.height, info.format)

    def blocks(self, items: list[Item]) -> Iterator[NDArray[np.float32]]:
        """Yield the items' features in order, a few thousand at a time."""
        for start in range(0, len(items), _ROWS):
            contents = [item.sha256 for item in items[start : start + _ROWS]]
            rows = [self._previous.rows.get(sha256, -1) for sha256 in contents]
            old = [at for at, row in enumerate(rows) if row >= 0]
            new = [at for at, row in enumerate(rows) if row < 0]
            block = np.empty((len(contents), self._feature_log.dim), np.float32)
            if old:
                block[old] = self._previous.features([rows[at] for at in old])
            if new:
                block[new] = self._feature_log.features([contents[at] for at in new])
            yield block


def _open(index_dir: Path) -> Store | None:
    try:
        return Store.open(index_dir)
    except IndexMissingError:
        return None
    except IndexCorruptError as error:
        log.error("the index is damaged and no feature of it is reused: %s", error)
        return None
