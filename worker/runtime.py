"""Application, weights and index, loaded once before forking and shared by the worker's processes."""

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
    """The number of the claimed attempt, in memory shared with the process that carries out the search.

    With it the worker renews the lease, and returns the search to the queue at once if that process dies.
    """

    _FORMAT = struct.Struct("q")
    _OUTAGE = struct.Struct("?")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._FORMAT.size + self._OUTAGE.size)

    def hold(self, attempt: int) -> None:
        """Store the number of the current attempt."""
        self._FORMAT.pack_into(self._memory, 0, attempt)

    def release(self) -> None:
        """Clear the slot: no attempt has begun, or its outcome is in the database."""
        self.hold(0)

    def held(self) -> int | None:
        """Return the number of the current attempt, if any."""
        attempt: int = self._FORMAT.unpack_from(self._memory)[0]
        return attempt or None

    def report_outage(self, met: bool = True) -> None:
        """Record whether disk or database were unavailable to the search."""
        self._OUTAGE.pack_into(self._memory, self._FORMAT.size, met)

    def met_outage(self) -> bool:
        """Return whether disk or database were unavailable to the search."""
        return bool(self._OUTAGE.unpack_from(self._memory, self._FORMAT.size)[0])


class Runtime:
    """Application, encoder and index of this process.

    Missing or damaged weights, or an index of another model, do not stop the worker: the problem is logged
    once, each search fails with that reason, and `refresh` tries again when the files change.

    Parameters
    ----------
    app : Flask
        Provides the settings and the database.
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
        """The encoder in use.

        Raises
        ------
        CheckpointError
            The weights are missing or damaged.
        """
        if isinstance(self._encoder, VitrineError):
            raise self._encoder
        return self._encoder

    @property
    def store(self) -> Store:
        """The index in use.

        Raises
        ------
        StoreError
            There is no index for this encoder.
        """
        if isinstance(self._store, VitrineError):
            raise self._store
        return self._store

    def refresh(self) -> None:
        """Load new weights and a new generation of the index if they have changed on disk."""
        weights, index = _signature(self.settings.model_path), _signature(self.settings.index_dir / CURRENT)
        if weights != self._weights_seen:
            self._load_encoder()
        if (weights, index) != (self._weights_seen, self._index_seen):
            self._open_store()
        self._weights_seen, self._index_seen = weights, index

    def close(self) -> None:
        """Close the index, since an open one is kept on disk; `refresh` opens it again."""
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
            blas_threads()  # find BLAS once, rather than in each forked process

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
    """Set the runtime that this process's jobs use."""
    global _current
    _current = runtime


def current() -> Runtime:
    """Return the runtime of this process; a job arrives by name with only an id, so it has to be global."""
    if _current is None:
        raise RuntimeError("no runtime: this process is not a worker")
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
