"""The road from files to vectors: reading threads ahead, one encoder behind, little in between.

Pillow and NumPy let go of the interpreter's lock while they decode and resize, so threads are enough to keep
the encoder in the calling thread at work. What waits between them is bounded, whatever the number of
pictures.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gallery.featurelog import FeatureLog
from gallery.reading import Encoder, PictureReader, Read
from gallery.scanning import Found, Skipped
from gallery.vectors import unit, usable
from model.pictures import PictureInfo

BATCH_SIZE = 16
_NO_DIRECTION = "the encoder gave a vector with NaN or infinity, or of only zeros"
_WAITING_BATCHES = 4

Progress = Callable[[int, int], None]
"""Is told how many files are done, and of how many."""


class Located(NamedTuple):
    """A file and the content found in it; its vector is known."""

    found: Found
    sha256: str


def default_workers() -> int:
    """Return how many threads read pictures unless told otherwise: one for each core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode_files(
    files: Sequence[Found],
    reader: PictureReader,
    encoder: Encoder,
    log: FeatureLog,
    *,
    unchanged: Callable[[Found], str | None] = lambda found: None,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[list[Located], list[Skipped]]:
    """See to it that every file's content has a vector, known to `reader` before or in `log` now.

    Parameters
    ----------
    files : sequence of Found
        In the order to go by.
    reader : PictureReader
        Reads them.
    encoder : Encoder
        Called in this thread only.
    log : FeatureLog
        Receives every new vector, flushed with each batch.
    unchanged : callable
        Returns the SHA-256 of a file that need not be read again.
    batch_size : int
        Pictures of equal shape encoded together.
    workers : int, optional
        Reading threads; `default_workers` unless given.
    progress : callable, optional
        Called after every file.

    Returns
    -------
    located : list of Located
        Files with a vector.
    skipped : list of Skipped
        Files without, and why.
    """
    batches = _Batches(encoder, log, batch_size)
    done: list[Located] = []
    unreadable: list[Skipped] = []
    ahead = _read_ahead(files, reader, unchanged, workers or default_workers(), batch_size)
    with closing(ahead) as reads:
        for number, read in enumerate(reads, start=1):
            if read.reason and not read.sha256:
                unreadable.append(Skipped(read.found.path, read.reason))
            else:
                done.append(Located(read.found, read.sha256))
                batches.take(read)
            if progress is not None:
                progress(number, len(files))
        batches.flush()
    located = [file for file in done if file.sha256 not in batches.refused]
    refused = [Skipped(found.path, batches.refused[sha]) for found, sha in done if sha in batches.refused]
    return located, sorted(unreadable + refused)


def _read_ahead(
    files: Sequence[Found],
    reader: PictureReader,
    unchanged: Callable[[Found], str | None],
    workers: int,
    batch_size: int,
) -> Generator[Read]:
    """Yield what the threads have read, in order, never more than a few batches ahead of the caller."""
    waiting: deque[Future[Read] | Read] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            for found in files:
                sha256 = unchanged(found)
                known = sha256 is not None and reader.finished(sha256)
                waiting.append(Read(found, sha256 or "") if known else pool.submit(reader.read, found))
                if len(waiting) >= workers + 2 * batch_size:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _result(read: Future[Read] | Read) -> Read:
    return read if isinstance(read, Read) else read.result()


class _Batches:
    """Groups prepared pictures by shape and encodes a group when it is full."""

    def __init__(self, encoder: Encoder, log: FeatureLog, batch_size: int) -> None:
        self.refused: dict[str, str] = {}
        self._encoder = encoder
        self._log = log
        self._batch_size = batch_size
        self._groups: dict[tuple[int, ...], list[tuple[str, PictureInfo, NDArray[np.float32]]]] = defaultdict(
            list
        )

    def take(self, read: Read) -> None:
        if read.reason:
            self.refused[read.sha256] = read.reason
        if read.tensor is None or read.info is None:
            return
        group = self._groups[read.tensor.shape]
        group.append((read.sha256, read.info, read.tensor))
        if len(group) == self._batch_size:
            self._encode(read.tensor.shape)
        elif sum(map(len, self._groups.values())) >= _WAITING_BATCHES * self._batch_size:
            self._encode(max(self._groups, key=lambda shape: len(self._groups[shape])))

    def flush(self) -> None:
        for shape in list(self._groups):
            self._encode(shape)

    def _encode(self, shape: tuple[int, ...]) -> None:
        group = self._groups.pop(shape)
        features = self._encoder.encode_arrays(np.stack([tensor for _, _, tensor in group]))
        for (sha256, info, _), feature, sound in zip(group, features, usable(features), strict=True):
            if sound:
                self._log.append(sha256, info, unit(feature[np.newaxis])[0])
            else:
                self.refused[sha256] = _NO_DIRECTION
        self._log.flush()
