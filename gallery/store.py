"""An index opened for searching."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gallery.catalog import Catalog, Item
from gallery.engines import VectorEngine
from gallery.engines.exact import ExactEngine
from gallery.errors import FingerprintError, IndexCorruptError, StoreError
from gallery.generations import Generation, open_current
from gallery.manifest import FEATURES
from model.fingerprint import Fingerprint

Verify = Literal["full", "quick"]


class Store:
    """One generation of an index: its items and, memory-mapped, their unit vectors.

    Nothing is computed at opening, and a forked child may use its parent's store.

    Parameters
    ----------
    generation : Generation
        Held open until `close`.
    verify : {"full", "quick"}
        Whether the SHA-256 of ``features.npy`` is compared, or only its size and header. ``items.db``
        always is.
    engine : callable
        Makes a `VectorEngine` of the mapped matrix.

    Raises
    ------
    IndexCorruptError
        A file is not the one that was written.
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
        index_dir: Path,
        *,
        expected: Fingerprint | None = None,
        verify: Verify = "full",
        engine: Callable[[NDArray[np.float32]], VectorEngine] = ExactEngine,
    ) -> Store:
        """Open the generation in use, or, where it is damaged, the newest sound one before it.

        Parameters
        ----------
        index_dir : Path
            The index.
        expected : Fingerprint, optional
            Of the encoder that queries will come from.
        verify, engine
            As above.

        Raises
        ------
        IndexMissingError, IndexCorruptError
            There is none, or none is sound.
        FingerprintError
            It was made with another encoder.
        """

        def use(generation: Generation) -> Store:
            store = cls(generation, verify=verify, engine=engine)
            if expected is not None and expected != store.fingerprint:
                store.close()
                raise _mismatch(generation)
            return store

        return open_current(index_dir, use)

    def __len__(self) -> int:
        return len(self.catalog)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def generation(self) -> str:
        """Name of the generation."""
        return self.catalog.generation

    @property
    def features(self) -> NDArray[np.float32]:
        """The mapped unit vectors, float32, shape (n, D), read-only; row order is the catalogue's."""
        return self._features

    def stale(self) -> bool:
        """Return whether another generation has come into use since."""
        return self.catalog.stale()

    def search(self, vector: ArrayLike, k: int, *, exclude: Collection[str] = ()) -> list[tuple[Item, float]]:
        """Return the k items most similar to a vector.

        Parameters
        ----------
        vector : array_like of float, shape (D,)
            A feature of the same encoder, of any length.
        k : int
            At least 1.
        exclude : collection of str
            Ids of items to leave out.

        Returns
        -------
        list of (Item, float)
            Best first, with the cosine of each, -1 to 1; of equal cosines the first path first. Shorter
            than k only where the index is.

        Raises
        ------
        StoreError
            The vector is of another width, or has no direction.
        """
        left_out = set(exclude)
        found = self.search_many(np.asarray(vector)[np.newaxis], k + len(left_out))[0]
        return [(item, score) for item, score in found if item.id not in left_out][:k]

    def search_many(self, vectors: ArrayLike, k: int) -> list[list[tuple[Item, float]]]:
        """Return for each of several vectors what `search` would, with one product for many.

        Parameters
        ----------
        vectors : array_like of float, shape (Q, D)
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

    def vector(self, item_id: str) -> NDArray[np.float32]:
        """Return a copy of an item's unit vector, float32, shape (D,).

        Raises
        ------
        ItemMissingError
            The index holds no such item.
        """
        return np.array(self._features[self.catalog.row(item_id)])

    def close(self) -> None:
        """Let go of the generation."""
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
            raise StoreError("The query has no direction: it holds NaN or infinity, or only zeros.")
        return np.asarray(queries / norms)


def _mismatch(generation: Generation) -> StoreError:
    made = f"was made with another model, or other settings, than those in use ({generation.manifest.model})"
    if generation.replaces_damaged:
        return IndexCorruptError(f"{generation.path} {made}.")  # that of the damaged one is the error to tell
    return FingerprintError(
        f"The index in {generation.index_dir} {made}; make it anew: {generation.manifest.mend}"
    )


def _map(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Map a features file, read-only; np.load parses the header as a literal and runs nothing."""
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise IndexCorruptError(f"{path} is no array of numbers: {error}") from error
    sound = (
        isinstance(features, np.memmap)
        and features.dtype == np.dtype("<f4")
        and features.shape == shape
        and features.flags.c_contiguous
    )
    if not sound:
        raise IndexCorruptError(f"{path} is not a float32 array of shape {shape}.")
    return np.asarray(features)
