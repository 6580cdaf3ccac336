"""Exact search: every row is compared, and the answer is that of float64 arithmetic.

One float32 product over the mapped matrix costs what reading it costs, but rounds. Rounding is bounded, so
the rows that can belong to the answer are known for certain, they are few, and only they are computed again
in float64.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1: a float32 inner product of
length D, in whatever order it is summed, is off by at most ``gamma_D |x|.|y|``, ``gamma_n = n u / (1 - n
u)``, ``u = 2^-24``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gallery.engines import Hits

_UNIT_ROUNDOFF = 2.0**-24
_LONGEST = 1.001
"""Rows are of length 1 but for rounding (`gallery.vectors.require_unit`)."""

_BLOCK_SCORES = 1 << 22
"""float32 scores held at a time: 16 MiB."""

_GROUPS = 32
"""Groups for each place of the answer."""

_QUERIES = 64
_RESCORED = 4096


class ExactEngine:
    """Brute force over a float32 matrix, which may be memory-mapped and is never copied.

    Nothing is computed and no thread is started before the first search, so an engine may be made before a
    fork.

    Parameters
    ----------
    features : ndarray of float32, shape (n, D)
        Unit vectors, C order.
    """

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._features = np.asarray(features)  # not a memmap: its slices cost microseconds each
        width = features.shape[1] + 2  # two more roundings: of the query to float32, and of the result
        self._bound = width * _UNIT_ROUNDOFF / (1 - width * _UNIT_ROUNDOFF) * _LONGEST

    def search(self, queries: NDArray[np.float64], k: int) -> Hits:
        """Return the k nearest rows of each query, or all rows where there are fewer.

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
        """Let go of the matrix."""
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
        """Return the places whose exact score can be among the k best of this block and of those before."""
        floor = -np.inf
        if len(approximate) > k:
            # k places score at least this less the bound; whoever is twice the bound below cannot pass them.
            floor = reached_by(approximate, k) - 2 * self._bound
        if len(exact) == k:
            floor = max(floor, float(exact[-1]) - self._bound)
        return np.flatnonzero(approximate >= np.nextafter(np.float32(floor), np.float32(-np.inf)))

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
    """Return a score that at least k places reach, near the kth best.

    It is the kth best among the bests of groups of places: k groups hold k different places. Ordering a few
    groups takes a tenth of ordering all places; groups lie across the rows, since neighbours may be alike.

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
    """Return float64 inner products, summed alike for every row, so that equal rows get equal scores.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, D)
    query : ndarray of float64, shape (D,)

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    return np.asarray((rows * query).sum(axis=1))
