"""Exact search: every row is compared, and the result is that of float64 arithmetic.

One float32 product over the mapped matrix takes as long as reading the matrix, but it rounds. The rounding
error is bounded, so that the rows which can belong to the result are known; they are few, and only their
scores are computed again in float64.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1: a float32 inner product of
length D, in any order of summation, has an error of at most ``gamma_D |x|.|y|``, ``gamma_n = n u / (1 - n
u)``, ``u = 2^-24``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gallery.engines import Hits

_UNIT_ROUNDOFF = 2.0**-24
_LONGEST = 1.001
"""Upper bound of a row's length: 1 and rounding (`gallery.vectors.require_unit`)."""

_BLOCK_SCORES = 1 << 22
"""float32 scores in memory at a time: 16 MiB."""

_GROUPS = 32
"""Groups for each of the k results."""

_QUERIES = 64
_RESCORED = 4096


class ExactEngine:
    """Brute force over a float32 matrix, which may be memory-mapped and is never copied.

    Nothing is computed and no thread is started before the first search, so that an engine may be created
    before a fork.

    Parameters
    ----------
    features : ndarray of float32, shape (n, D)
        Unit vectors, C order.
    """

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._features = np.asarray(features)  # not a memmap: its slices cost microseconds each
        width = features.shape[1] + 2  # two more roundings: the query to float32, and the result
        self._bound = width * _UNIT_ROUNDOFF / (1 - width * _UNIT_ROUNDOFF) * _LONGEST

    def search(self, queries: NDArray[np.float64], k: int) -> Hits:
        """Return the k nearest rows for each query, or all rows if there are fewer.

        Parameters
        ----------
        queries : ndarray of float64, shape (Q, D)
            Unit vectors.
        k : int
            At least 1.
        """
        k = min(k, len(self._features))
        rows = np.empty((len(queries), k), np.int64)
        scores = np.empty((len(queries), k), np.float64)
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, start + _QUERIES)
            for query, best in enumerate(self._search(queries[part], k), start):
                rows[query], scores[query] = best
        return Hits(rows, scores)

    def close(self) -> None:
        """Release the matrix."""
        self._features = self._features[:0]

    def _search(
        self, queries: NDArray[np.float64], k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        rounded = queries.astype(np.float32)
        best = [(np.empty(0, np.int64), np.empty(0)) for _ in queries]
        step = max(1, _BLOCK_SCORES // len(queries))
        for start in range(0, len(self._features), step):
            block = self._features[start : start + step]
            approximate = (block @ rounded[0])[np.newaxis] if len(queries) == 1 else rounded @ block.T
            for query, scores in enumerate(approximate):
                found = start + self._candidates(scores, k, best[query][1])
                best[query] = self._merged(best[query], found, queries[query], k)
        return best

    def _candidates(
        self, approximate: NDArray[np.float32], k: int, exact: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return the positions whose exact score can be among the k best of this block and all before it."""
        threshold = -np.inf
        if len(approximate) > k:
            # k positions have at least this score minus the bound. A score more than twice the bound below
            # cannot exceed theirs.
            threshold = reached_by(approximate, k) - 2 * self._bound
        if len(exact) == k:
            threshold = max(threshold, float(exact[-1]) - self._bound)
        return np.flatnonzero(approximate >= np.nextafter(np.float32(threshold), np.float32(-np.inf)))

    def _merged(
        self,
        best: tuple[NDArray[np.int64], NDArray[np.float64]],
        found: NDArray[np.int64],
        query: NDArray[np.float64],
        k: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        for start in range(0, len(found), _RESCORED):
            part = found[start : start + _RESCORED]
            rows = np.concatenate([best[0], part])
            scores = np.concatenate([best[1], exact_scores(self._features[part], query)])
            order = np.lexsort((rows, -scores))[:k]
            best = rows[order], scores[order]
        return best


def reached_by(scores: NDArray[np.float32], k: int) -> float:
    """Return a score that at least k positions reach, near the kth best.

    It is the kth best of the groups' maxima, which belong to k different positions. Partitioning the maxima
    takes a tenth of the time of partitioning all scores. Groups are strided, because neighbouring rows may
    be similar.

    Parameters
    ----------
    scores : ndarray of float32, shape (n,)
    k : int
        At most n.
    """
    groups = _GROUPS * k
    if len(scores) >= 2 * groups:
        scores = scores[: len(scores) // groups * groups].reshape(-1, groups).max(axis=0)
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def exact_scores(rows: NDArray[np.float32], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 inner products, summed in the same order for every row: equal rows get equal scores.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, D)
    query : ndarray of float64, shape (D,)

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    return np.asarray((rows * query).sum(axis=1))
