"""An index opened for searching: items, features, and the engine that compares them.

Opened by the worker, ``flask gallery search`` and library users.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gallery.catalog import Catalog, Item
from gallery.closable import Closable
from gallery.engines import VectorEngine
from gallery.engines.exact import ExactEngine
from gallery.errors import FingerprintError, IndexCorruptError, StoreError
from gallery.generations import Generation, open_current
from gallery.manifest import FEATURES
from model.fingerprint import Fingerprint

Verify = Literal["full", "quick"]


class Store(Closable):
    """One generation of an index: its items and, memory-mapped, their features.

    Opening computes nothing, and a forked child may use its parent's store.

    Parameters
    ----------
    generation : Generation
        Held open until `close`.
    verify : {"full", "quick"}
        Compare the SHA-256 of ``features.npy``, or only its size and header. ``items.db`` is always
        compared.
    engine : callable
        Returns a `VectorEngine` for the mapped matrix.

    Raises
    ------
    IndexCorruptError
        A file differs from what was written.
    """

    def __init__(
        self,
        generation: Generation,
        *,
        verify: Verify = "full",
        engine: Callable[[NDArray[np.float32]], VectorEngine] = ExactEngine,
    ) -> None:
        try:
            self.fingerprint = Fingerprint.from_dict(generation.manifest.fingerprint)
        except ValueError as error:
            raise IndexCorruptError(f"{generation.path}: {error}") from error
        path = generation.verified(FEATURES, contents=verify == "full")
        self._features = _map(path, (generation.manifest.count, self.fingerprint.dim))
        self.catalog = Catalog(generation)
        self._engine = engine(self._features)

    @classmethod
    def open(
        cls,
        index_dir: Path | str,
        *,
        expected: Fingerprint | None = None,
        verify: Verify = "full",
        engine: Callable[[NDArray[np.float32]], VectorEngine] = ExactEngine,
    ) -> Store:
        """Open the generation in use or, if it is damaged, the newest sound one before it.

        Parameters
        ----------
        index_dir : Path or str
            The index.
        expected : Fingerprint, optional
            Of the encoder that will encode the queries.
        verify, engine
            As for the class.

        Raises
        ------
        IndexMissingError, IndexCorruptError
            There is no index, or no sound generation.
        FingerprintError
            The index was made with another encoder.
        """

        def use(generation: Generation) -> Store:
            store = cls(generation, verify=verify, engine=engine)
            if expected is not None and expected != store.fingerprint:
                store.close()
                raise _mismatch(generation)
            return store

        return open_current(Path(index_dir), use)

    def __len__(self) -> int:
        return len(self.catalog)

    @property
    def generation(self) -> str:
        """Name of the generation."""
        return self.catalog.generation

    @property
    def features(self) -> NDArray[np.float32]:
        """The mapped features, scaled to length 1: float32, shape (n, D), read-only, rows as in `catalog`."""
        return self._features

    def stale(self) -> bool:
        """Return whether another generation has come into use since this one was opened."""
        return self.catalog.stale()

    def search(self, vector: ArrayLike, k: int, *, exclude: Collection[str] = ()) -> list[tuple[Item, float]]:
        """Return the k items most similar to a query.

        Parameters
        ----------
        vector : array_like of float, shape (D,)
            Feature of the query from the same encoder; its length does not matter.
        k : int
            At least 1.
        exclude : collection of str
            Ids of items to leave out.

        Returns
        -------
        list of (Item, float)
            Best first, each with its score, the cosine from -1 to 1; equal scores are sorted by path.
            Shorter than k only if the index has fewer items.

        Raises
        ------
        StoreError
            The feature has another width, or no direction.
        """
        excluded = set(exclude)
        hits = self.search_many(np.asarray(vector)[np.newaxis], k + len(excluded))[0]
        return [(item, score) for item, score in hits if item.id not in excluded][:k]

    def search_many(self, vectors: ArrayLike, k: int) -> list[list[tuple[Item, float]]]:
        """Return for each of several queries what `search` returns, faster than one by one.

        Parameters
        ----------
        vectors : array_like of float, shape (Q, D)
            Features of the queries.
        k : int
            At least 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1")
        hits = self._engine.search(self._directions(vectors), k)
        cosines = np.clip(hits.scores, -1.0, 1.0)
        return [
            list(zip(self.catalog.rows(rows), scores, strict=True))
            for rows, scores in zip(hits.rows.tolist(), cosines.tolist(), strict=True)
        ]

    def feature(self, item_id: str) -> NDArray[np.float32]:
        """Return a copy of an item's feature, scaled to length 1: float32, shape (D,).

        Raises
        ------
        ItemMissingError
            The index has no such item.
        """
        return np.array(self._features[self.catalog.row(item_id)])

    def close(self) -> None:
        """Release the generation."""
        self._engine.close()
        self._features = self._features[:0]
        self.catalog.close()

    def _directions(self, vectors: ArrayLike) -> NDArray[np.float64]:
        queries = np.asarray(vectors, np.float64)
        if queries.ndim != 2 or queries.shape[1] != self.fingerprint.dim:
            raise StoreError(
                f"A query of shape {queries.shape[1:]} cannot be compared with D = {self.fingerprint.dim}."
            )
        norms = np.linalg.norm(queries, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise StoreError("The query has no direction: it contains NaN or infinity, or only zeros.")
        return np.asarray(queries / norms)


def _mismatch(generation: Generation) -> StoreError:
    made = f"was made with another model or other settings ({generation.manifest.model}) than those in use"
    if generation.replaces_damaged:
        # Not a FingerprintError: the damage of the newest generation is the error to report.
        return IndexCorruptError(f"{generation.path} {made}.")
    return FingerprintError(
        f"The index in {generation.index_dir} {made}; index again: {generation.manifest.reindex_command}"
    )


def _map(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Map a features file read-only; np.load parses the header as a literal and executes nothing."""
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise IndexCorruptError(f"{path} is not an array of numbers: {error}") from error
    sound = (
        isinstance(features, np.memmap)
        and features.dtype == np.dtype("<f4")
        and features.shape == shape
        and features.flags.c_contiguous
    )
    if not sound:
        raise IndexCorruptError(f"{path} is not a float32 array of shape {shape}.")
    return np.asarray(features)
