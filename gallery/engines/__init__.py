"""What answers "which rows are nearest": one interface, however the vectors are kept."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Hits(NamedTuple):
    """The nearest rows of each query.

    Attributes
    ----------
    rows : ndarray of int64, shape (Q, k)
        Best first; of equal scores the lower row first.
    scores : ndarray of float64, shape (Q, k)
        Inner products, not clipped.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


class VectorEngine(Protocol):
    """Finds the rows of a matrix of unit vectors with the largest inner products."""

    def search(self, queries: NDArray[np.float64], k: int) -> Hits:
        """Return the k nearest rows of each query, or all rows where there are fewer.

        Parameters
        ----------
        queries : ndarray of float64, shape (Q, D)
            Unit vectors.
        k : int
            At least 1.
        """

    def close(self) -> None:
        """Let go of what the engine holds."""
