"""Write a generation and bring it into use; called by indexing and by the import of features."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery import generations
from gallery.catalog import Item, folded
from gallery.errors import StoreError
from gallery.manifest import FEATURES, ITEMS, FileDigest, Manifest
from gallery.vectors import require_unit
from model.files import sha256_file, sync_file
from model.fingerprint import Fingerprint

_SCHEMA = """
CREATE TABLE items (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    format TEXT NOT NULL, folded TEXT NOT NULL
)"""


def write_generation(
    index_dir: Path,
    items: Sequence[Item],
    blocks: Iterable[NDArray[np.float32]],
    *,
    model: str,
    fingerprint: Fingerprint,
    root: Path,
    attribution: str,
    scanned: int,
) -> str:
    """Write a new generation, bring it into use, and return its name.

    The caller holds the index's lock.

    Parameters
    ----------
    index_dir : Path
        The index.
    items : sequence of Item
        Sorted by path.
    blocks : iterable of ndarray of float32, shape (any, D)
        The items' features in the same order, scaled to length 1, in blocks that fit in memory.
    model, fingerprint, root, attribution, scanned
        Stored in the manifest; see `gallery.manifest.Manifest`.

    Raises
    ------
    StoreError
        A feature is not of length 1, the numbers of features and items differ, or the items cannot be
        written. The generation in use stays in use.
    """
    folder = generations.staging(index_dir)
    try:
        files = {
            FEATURES: _write_features(folder / FEATURES, (len(items), fingerprint.dim), blocks),
            ITEMS: _write_items(folder / ITEMS, items),
        }
    except sqlite3.Error as error:
        raise StoreError(f"The list of items cannot be written in {folder}: {error}.") from error
    manifest = Manifest(
        model=model,
        fingerprint=fingerprint.as_dict(),
        root=str(root),
        attribution=attribution,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        scanned=scanned,
        count=len(items),
        files=files,
    )
    name = generations.install(index_dir, manifest)
    generations.remove_unused(index_dir)
    return name


def _write_features(path: Path, shape: tuple[int, int], blocks: Iterable[NDArray[np.float32]]) -> FileDigest:
    digest, rows = hashlib.sha256(), 0
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("w+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(0)
        digest.update(file.read())
        for block in blocks:
            require_unit(block)
            data = np.ascontiguousarray(block, "<f4").data
            digest.update(data)
            file.write(data)
            rows += len(block)
        if rows != shape[0]:
            raise StoreError(f"{rows} features were given for {shape[0]} items.")
        sync_file(file)
        return FileDigest(digest.hexdigest(), file.tell())


def _write_items(path: Path, items: Sequence[Item]) -> FileDigest:
    connection = sqlite3.connect(path)
    try:
        # No rollback journal: an incomplete file is deleted, never repaired.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute(_SCHEMA)
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (row, i.id, i.path, i.sha256, i.size, i.mtime, i.width, i.height, i.format, folded(i.path))
                for row, i in enumerate(items)
            ),
        )
        connection.commit()
    finally:
        connection.close()
    return FileDigest(sha256_file(path), path.stat().st_size)
