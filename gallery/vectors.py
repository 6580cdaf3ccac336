"""Normalise features to unit length, and refuse those that have no direction; used across `gallery`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gallery.errors import StoreError

_TOLERANCE = 1e-4


def usable(vectors: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which rows have a direction: all values finite, and not all zero.

    Parameters
    ----------
    vectors : ndarray of float, shape (n, D)

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    norms = _norms(vectors)
    return np.isfinite(norms) & (norms > 0)


def unit(vectors: ArrayLike) -> NDArray[np.float32]:
    """Scale rows to length 1.

    Parameters
    ----------
    vectors : array_like of float, shape (n, D)

    Returns
    -------
    ndarray of float32, shape (n, D)
        Divided by the norm in float64, then rounded once.

    Raises
    ------
    StoreError
        A row contains NaN or infinity, or only zeros.
    """
    rows = np.asarray(vectors)
    if not usable(rows).all():
        bad = int(np.flatnonzero(~usable(rows))[0])
        raise StoreError(f"Vector {bad} has no direction: it contains NaN or infinity, or only zeros.")
    return (rows.astype(np.float64) / _norms(rows)[:, np.newaxis]).astype(np.float32)


def require_unit(vectors: NDArray[np.float32]) -> None:
    """Refuse rows that are not of length 1; the last check before vectors are written.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, D)

    Raises
    ------
    StoreError
        A row has another length, or is not finite.
    """
    wrong = ~(np.abs(_norms(vectors) - 1.0) <= _TOLERANCE)
    if wrong.any():
        raise StoreError(f"Vector {int(np.flatnonzero(wrong)[0])} is not of length 1 and was not written.")


def _norms(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1)))
