"""What the worker's processes share: application, weights, index. Loaded before the forks, so held once."""

from __future__ import annotations

import logging
import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask

from app.encoder import encoder_in_use
from config import Settings
from gallery import Store
from gallery.errors import IndexMissingError, StoreError
from gallery.generations import CURRENT
from model.errors import CheckpointError, VitrineError
from model.network.threads import blas_threads

if TYPE_CHECKING:
    from model import Encoder

log = logging.getLogger(__name__)

Signature = tuple[int, int, int] | None
UNSEEN: Signature = (0, 0, 0)


class AttemptSlot:
    """A number in memory shared with the process that carries out a search: the attempt that it has claimed.

    So the worker can renew the lease, and give the search back at once when that process dies.
    """

    _FORMAT = struct.Struct("q")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._FORMAT.size)

    def hold(self, attempt: int) -> None:
        """Say which attempt is being carried out."""
        self._FORMAT.pack_into(self._memory, 0, attempt)

    def release(self) -> None:
        """Say that the attempt's end is in the database, or that none has begun."""
        self.hold(0)

    def held(self) -> int | None:
        """Return the attempt being carried out."""
        attempt: int = self._FORMAT.unpack_from(self._memory)[0]
        return attempt or None


class Runtime:
    """Application, encoder and index of this process.

    Weights or index that are missing, damaged or do not belong together are no reason to stop: they are
    reported once, each search fails with that reason, and `refresh` looks again when the files change.

    Parameters
    ----------
    app : Flask
        Gives the settings and the database.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.settings: Settings = app.config["VITRINE"]
        self.slot = AttemptSlot()
        self._encoder: Encoder | VitrineError = CheckpointError("The weights have not been loaded yet.")
        self._store: Store | VitrineError = IndexMissingError("The index is not open.")
        self._weights_seen = self._index_seen = UNSEEN

    @property
    def encoder(self) -> Encoder:
        """The encoder in use; raises CheckpointError where there is none."""
        if isinstance(self._encoder, VitrineError):
            raise self._encoder
        return self._encoder

    @property
    def store(self) -> Store:
        """The index in use; raises StoreError where there is none for this encoder."""
        if isinstance(self._store, VitrineError):
            raise self._store
        return self._store

    def refresh(self) -> None:
        """Load what has changed on disk since the last call: new weights, a new generation of the index."""
        weights, index = _signature(self.settings.model_path), _signature(self.settings.index_dir / CURRENT)
        if weights != self._weights_seen:
            self._load_encoder()
        if (weights, index) != (self._weights_seen, self._index_seen):
            self._open_store()
        self._weights_seen, self._index_seen = weights, index

    def close(self) -> None:
        """Let the index go: it stays on disk while a process has it open. `refresh` opens it again."""
        if isinstance(self._store, Store):
            self._store.close()
        self._store, self._index_seen = IndexMissingError("The index is not open."), UNSEEN

    def _load_encoder(self) -> None:
        try:
            with self.app.app_context():
                self._encoder = encoder_in_use()
        except (CheckpointError, OSError) as error:
            self._encoder = _reported(error, CheckpointError)
        else:
            log.info("weights loaded", extra={"model": self.settings.model})
            blas_threads()  # finds BLAS, which each forked process would otherwise look for anew

    def _open_store(self) -> None:
        self.close()
        expected = None if isinstance(self._encoder, VitrineError) else self._encoder.fingerprint
        try:
            self._store = Store.open(self.settings.index_dir, expected=expected)
        except (StoreError, OSError) as error:
            self._store = _reported(error, StoreError)
        else:
            log.info(
                "index opened",
                extra={"generation": self._store.generation, "count": len(self._store.catalog)},
            )


_current: Runtime | None = None


def use(runtime: Runtime) -> None:
    """Make `runtime` the one that this process's jobs use."""
    global _current
    _current = runtime


def current() -> Runtime:
    """Return what this process's jobs use: a job comes by name from the queue, with nothing but an id."""
    if _current is None:
        raise RuntimeError("no runtime: this process is no worker")
    return _current


def _reported(error: VitrineError | OSError, kind: type[VitrineError]) -> VitrineError:
    log.error("searches will fail: %s", error)
    return error if isinstance(error, VitrineError) else kind(str(error))


def _signature(path: Path) -> Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
