"""Measure an encoder: how well the nearest pictures agree with labels.

Called by ``flask gallery evaluate`` and by the training. Imports the rest of `gallery`; the encoder is an
argument.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from gallery.encoding import BATCH_SIZE, Progress, encode_files
from gallery.engines.exact import ExactEngine
from gallery.errors import StoreError
from gallery.featurelog import FeatureLog
from gallery.files import writing
from gallery.locks import exclusive
from gallery.reading import Encoder, PictureReader
from gallery.scanning import FileIssue, scan
from model.fingerprint import Fingerprint

TOP = 10
_QUERIES = 1024


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over all queries, each 0 to 1.

    Attributes
    ----------
    p_at_1, p_at_10 : float
        Share of the first result, or the first ten, that have the query's label.
    map_at_10 : float
        Mean of AP@10 = (1 / min(10, R)) * sum of P@r over the ranks r <= 10 whose result has the label,
        where R is the number of other pictures with the label. It is 1 if the first min(10, R) results all
        have it.
    recall_at_10 : float
        Share of the R pictures that is among the first ten.
    """

    p_at_1: float
    p_at_10: float
    map_at_10: float
    recall_at_10: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    model : str
        Name of the encoder.
    classes, pictures : int
        Number of labels, and of pictures with a label.
    scores : Scores
        The means.
    skipped : list of FileIssue
        Files that were left out, and why.
    """

    model: str
    classes: int
    pictures: int
    scores: Scores
    skipped: list[FileIssue]

    def as_dict(self) -> dict[str, str | int | float]:
        """Return model, classes, pictures and the four means as values for JSON."""
        counts: dict[str, str | int | float] = {
            "model": self.model, "classes": self.classes, "pictures": self.pictures
        }  # fmt: skip
        return counts | asdict(self.scores)


def evaluate(
    root: Path,
    encoder: Encoder,
    *,
    cache_dir: Path,
    exclude: Collection[Path] = (),
    ignore: Collection[str] = (),
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Search with every picture of a labelled folder among all others.

    A picture's label is its folder; pictures in `root` itself have no label and are left out. A picture that
    is alone in its folder has nothing to find: it is not a query, but it may be a result.

    Parameters
    ----------
    root : Path
        A folder with one folder for each label.
    encoder : Encoder
        The encoder to measure.
    cache_dir : Path
        Where features are stored by content, so that the next run need not compute them.
    exclude, ignore, batch_size, workers, progress
        As for `gallery.indexing.build`.

    Raises
    ------
    StoreError
        No two pictures have the same label.
    """
    root = root.expanduser().resolve()
    files, skipped = scan(root, [*exclude, cache_dir], ignore)
    labelled = [file for file in files if _label(file.path)]
    skipped += [FileIssue(file.path, "not in a class folder") for file in files if not _label(file.path)]
    with (
        writing(cache_dir),
        exclusive(cache_dir),
        FeatureLog(cache_dir / _cache_name(encoder.fingerprint), encoder.fingerprint) as log,
    ):
        reader = PictureReader(root, encoder, log.info)
        hashed, refused = encode_files(
            labelled, reader, encoder, log, batch_size=batch_size, workers=workers, progress=progress
        )
        if not hashed:
            raise StoreError(f"No picture in the folders below {root} can be used.")
        features = log.features([sha256 for _, sha256 in hashed])
    names, labels = np.unique([_label(file.path) for file, _ in hashed], return_inverse=True)
    scores = score(features, labels)
    return Evaluation(encoder.name, len(names), len(labels), scores, sorted(skipped + refused))


def score(features: NDArray[np.float32], labels: NDArray[np.integer]) -> Scores:
    """Compute the means for unit vectors with labels.

    Parameters
    ----------
    features : ndarray of float32, shape (n, D)
        Unit vectors. A query's own row is not among its results; equal scores are sorted by row.
    labels : ndarray of int, shape (n,)
        A picture whose label is unique is not a query.

    Raises
    ------
    StoreError
        All labels are unique.
    """
    others = np.bincount(labels)[labels] - 1
    queries = np.flatnonzero(others > 0)
    if not len(queries):
        raise StoreError("No two pictures have the same label: put the pictures of each class in one folder.")
    engine = ExactEngine(features)
    means = np.zeros(4)
    for start in range(0, len(queries), _QUERIES):
        part = queries[start : start + _QUERIES]
        rows = engine.search(features[part].astype(np.float64), TOP + 1).rows
        means += _measures(labels[_without_self(rows, part)] == labels[part, np.newaxis], others[part])
    return Scores(*(means / len(queries)).tolist())


def _without_self(rows: NDArray[np.int64], queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop each query's own row, or the last row if copies of the query fill all ranks before its own."""
    own = rows == queries[:, np.newaxis]
    own[~own.any(axis=1), -1] = True
    return np.asarray(rows[~own].reshape(len(rows), -1))


def _measures(relevant: NDArray[np.bool_], others: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sum P@1, P@10, AP@10 and recall@10 over queries.

    `relevant` has shape (Q, at most 10), `others` is R, shape (Q,).
    """
    hits = np.cumsum(relevant, axis=1)
    precision = hits / np.arange(1, relevant.shape[1] + 1)
    found = hits[:, -1]
    average_precision = (precision * relevant).sum(axis=1) / np.minimum(TOP, others)
    each = np.stack([relevant[:, 0], found / TOP, average_precision, found / others])
    return np.asarray(each.sum(axis=1))


def _label(path: str) -> str:
    folder = PurePosixPath(path).parent.as_posix()
    return "" if folder == "." else folder


def _cache_name(fingerprint: Fingerprint) -> str:
    text = json.dumps(fingerprint.as_dict(), sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.features"
