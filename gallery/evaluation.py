"""How well an encoder's neighbours agree with labels."""

from __future__ import annotations

import hashlib
import json
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
from gallery.scanning import Skipped, scan
from model.fingerprint import Fingerprint

TOP = 10
_QUERIES = 1024


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over all queries, each 0 to 1.

    Attributes
    ----------
    p_at_1, p_at_10 : float
        Share of the nearest one, or ten, that bear the query's label.
    map_at_10 : float
        Mean of AP@10 = (1 / min(10, R)) * sum over ranks r <= 10 that bear the label of P@r, where R is the
        number of other pictures with the label: 1 where all that could stand in the ten places stand there.
    recall_at_10 : float
        Share of the R that is among the ten.
    """

    p_at_1: float
    p_at_10: float
    map_at_10: float
    recall_at_10: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    model : str
        Name of the encoder.
    classes, pictures : int
        Labels, and pictures that bear one.
    scores : Scores
        The means.
    skipped : list of Skipped
        Files that were left out, and why.
    """

    model: str
    classes: int
    pictures: int
    scores: Scores
    skipped: list[Skipped]

    def as_dict(self) -> dict[str, str | int | float]:
        """Return model, classes, pictures and the four means, ready for JSON."""
        counts: dict[str, str | int | float] = {
            "model": self.model, "classes": self.classes, "pictures": self.pictures
        }  # fmt: skip
        return counts | asdict(self.scores)


def evaluate(
    root: Path,
    encoder: Encoder,
    *,
    cache_dir: Path,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Let every picture of a labelled folder search among all the others.

    A picture's label is the folder it lies in; pictures in `root` itself have none and are left out. One
    that is alone in its folder has nothing to find: it is no query, but may be found.

    Parameters
    ----------
    root : Path
        The folder of folders.
    encoder : Encoder
        Under test.
    cache_dir : Path
        Keeps features by content, so that another run is quick.
    batch_size, workers, progress
        As for `gallery.indexing.build`.

    Raises
    ------
    StoreError
        No picture has a label in common with another.
    """
    root = root.expanduser().resolve()
    found, skipped = scan(root, leave_out={cache_dir.resolve()})
    labelled = [file for file in found if _label(file.path)]
    skipped += [Skipped(file.path, "lies in no class folder") for file in found if not _label(file.path)]
    with (
        writing(cache_dir),
        exclusive(cache_dir),
        FeatureLog(cache_dir / _cache_name(encoder.fingerprint), encoder.fingerprint) as log,
    ):
        reader = PictureReader(root, encoder, log.info)
        located, refused = encode_files(
            labelled, reader, encoder, log, batch_size=batch_size, workers=workers, progress=progress
        )
        if not located:
            raise StoreError(f"No picture in the folders of {root} can be used.")
        features = log.vectors([file.sha256 for file in located])
    names, labels = np.unique([_label(file.found.path) for file in located], return_inverse=True)
    scores = score(features, labels)
    return Evaluation(encoder.name, len(names), len(labels), scores, sorted(skipped + refused))


def score(features: NDArray[np.float32], labels: NDArray[np.integer]) -> Scores:
    """Compute the means for unit vectors with labels.

    Parameters
    ----------
    features : ndarray of float32, shape (n, D)
        Unit vectors. A query's own row is never among its answers; equal cosines go by row.
    labels : ndarray of int, shape (n,)
        Queries whose label nobody else bears do not count.

    Raises
    ------
    StoreError
        No label is borne twice.
    """
    others = np.bincount(labels)[labels] - 1
    queries = np.flatnonzero(others > 0)
    if not len(queries):
        raise StoreError("No two pictures have the same label: put each class in a folder of its own.")
    engine = ExactEngine(features)
    means = np.zeros(4)
    for start in range(0, len(queries), _QUERIES):
        part = queries[start : start + _QUERIES]
        rows = engine.search(features[part].astype(np.float64), TOP + 1).rows
        means += _measures(labels[_without_self(rows, part)] == labels[part, np.newaxis], others[part])
    return Scores(*(means / len(queries)).tolist())


def _without_self(rows: NDArray[np.int64], queries: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop each query's own row, or the last where copies of it fill all the places before it."""
    own = rows == queries[:, np.newaxis]
    own[~own.any(axis=1), -1] = True
    return np.asarray(rows[~own].reshape(len(rows), -1))


def _measures(relevant: NDArray[np.bool_], others: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sum P@1, P@10, AP@10 and recall@10 over queries; `relevant` is (Q, at most 10), `others` is R."""
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
