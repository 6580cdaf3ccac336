"""Turn files into features: threads read ahead, the calling thread encodes, little waits in between.

Called by indexing and evaluation. Pillow and NumPy release the interpreter's lock while they decode and
resize, so that threads are enough to keep the encoder busy. The number of decoded pictures in memory is
bounded, however many files there are.
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
from gallery.reading import Encoder, PictureReader, ReadResult, reason
from gallery.scanning import CandidateFile, FileIssue
from gallery.vectors import unit, usable
from model.pictures import PictureInfo

BATCH_SIZE = 16
_NO_DIRECTION = "the encoder returned a feature with NaN or infinity, or of only zeros"
_WAITING_BATCHES = 4

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of all files."""


class HashedFile(NamedTuple):
    """A file and the SHA-256 of its bytes, for which there is a feature."""

    file: CandidateFile
    sha256: str


def default_workers() -> int:
    """Return the default number of reading threads: one for each core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode_files(
    files: Sequence[CandidateFile],
    reader: PictureReader,
    encoder: Encoder,
    log: FeatureLog,
    *,
    unchanged: Callable[[CandidateFile], str | None] = lambda file: None,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[list[HashedFile], list[FileIssue]]:
    """Encode all files whose bytes have no feature yet.

    Parameters
    ----------
    files : sequence of CandidateFile
        Read in this order.
    reader : PictureReader
        Reads them, and knows which contents have a feature already.
    encoder : Encoder
        Called in this thread only.
    log : FeatureLog
        Receives every new feature, flushed after each batch.
    unchanged : callable
        Returns the SHA-256 of a file that need not be read again, else None.
    batch_size : int
        Number of pictures of equal shape that are encoded together.
    workers : int, optional
        Number of reading threads; `default_workers` by default.
    progress : callable, optional
        Called after every file.

    Returns
    -------
    hashed : list of HashedFile
        Files that have a feature, in the order of `files`.
    skipped : list of FileIssue
        Files without a feature, and why; sorted by path.
    """
    batches = _Batches(encoder, log, batch_size)
    done: list[HashedFile] = []
    unreadable: list[FileIssue] = []
    ahead = _read_ahead(files, reader, unchanged, workers or default_workers(), batch_size)
    with closing(ahead) as results:
        for number, result in enumerate(results, start=1):
            if result.reason and not result.sha256:
                unreadable.append(FileIssue(result.file.path, result.reason))
            else:
                done.append(HashedFile(result.file, result.sha256))
                batches.add(result)
            if progress is not None:
                progress(number, len(files))
        batches.flush()
    hashed = [each for each in done if each.sha256 not in batches.refused]
    refused = [
        FileIssue(file.path, batches.refused[sha256]) for file, sha256 in done if sha256 in batches.refused
    ]
    return hashed, sorted(unreadable + refused)


def _read_ahead(
    files: Sequence[CandidateFile],
    reader: PictureReader,
    unchanged: Callable[[CandidateFile], str | None],
    workers: int,
    batch_size: int,
) -> Generator[ReadResult]:
    """Yield the threads' results in order, never more than a few batches ahead of the caller."""
    waiting: deque[Future[ReadResult] | ReadResult] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            for file in files:
                sha256 = unchanged(file)
                known = sha256 is not None and reader.finished(sha256)
                waiting.append(ReadResult(file, sha256 or "") if known else pool.submit(reader.read, file))
                if len(waiting) >= workers + 2 * batch_size:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _result(entry: Future[ReadResult] | ReadResult) -> ReadResult:
    return entry if isinstance(entry, ReadResult) else entry.result()


_Prepared = tuple[str, PictureInfo, NDArray[np.float32]]
"""SHA-256, format and size, and tensor of a picture that is ready for the encoder."""


class _Batches:
    """Groups prepared pictures by shape and encodes a group when it is full."""

    def __init__(self, encoder: Encoder, log: FeatureLog, batch_size: int) -> None:
        self.refused: dict[str, str] = {}
        self._encoder = encoder
        self._log = log
        self._batch_size = batch_size
        self._groups: dict[tuple[int, ...], list[_Prepared]] = defaultdict(list)

    def add(self, result: ReadResult) -> None:
        if result.reason:
            self.refused[result.sha256] = result.reason
        if result.tensor is None or result.info is None:
            return
        group = self._groups[result.tensor.shape]
        group.append((result.sha256, result.info, result.tensor))
        if len(group) == self._batch_size:
            self._encode(self._groups.pop(result.tensor.shape))
        elif sum(map(len, self._groups.values())) >= _WAITING_BATCHES * self._batch_size:
            self._encode(self._groups.pop(max(self._groups, key=lambda shape: len(self._groups[shape]))))

    def flush(self) -> None:
        for shape in list(self._groups):
            self._encode(self._groups.pop(shape))

    def _encode(self, group: list[_Prepared]) -> None:
        features = self._features(group)
        if features is None and len(group) > 1:
            half = len(group) // 2
            self._encode(group[:half])
            self._encode(group[half:])
            return
        if features is None:
            self.refused[group[0][0]] = reason(MemoryError())
            return
        for (sha256, info, _), feature, sound in zip(group, features, usable(features), strict=True):
            if sound:
                self._log.append(sha256, info, unit(feature[np.newaxis])[0])
            else:
                self.refused[sha256] = _NO_DIRECTION
        self._log.flush()

    def _features(self, group: list[_Prepared]) -> NDArray[np.float32] | None:
        """Return the group's features, or None if there is not enough memory for it."""
        try:
            return self._encoder.encode_arrays(np.stack([tensor for _, _, tensor in group]))
        except MemoryError:
            return None
