"""Engines that find the nearest features: one interface, however the features are stored.

Called by `gallery.store` and `gallery.evaluation`; engines import NumPy and nothing else of the gallery.
"""

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
    """Finds the rows with the largest inner products in a matrix of unit vectors."""

    def search(self, queries: NDArray[np.float64], k: int) -> Hits:
        """Return the k nearest rows for each query, or all rows if there are fewer.

        Parameters
        ----------
        queries : ndarray of float64, shape (Q, D)
            Unit vectors.
        k : int
            At least 1.
        """

    def close(self) -> None:
        """Release the engine's resources."""
