"""Vectors as one ``.npz`` file with ``features`` and ``paths``: the format of the system before this one."""

from __future__ import annotations

import math
import os
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from gallery.catalog import Item, item_id
from gallery.encoding import Progress
from gallery.errors import StoreError
from gallery.files import writing
from gallery.locks import exclusive
from gallery.notes import attribution
from gallery.reading import load, reason
from gallery.scanning import Skipped
from gallery.store import Store
from gallery.thumbnails import Thumbnails
from gallery.vectors import unit, usable
from gallery.writer import write_generation
from model.errors import PictureError
from model.files import replacing
from model.fingerprint import Fingerprint
from model.pictures import open_rgb, probe

MAX_ROWS = 10_000_000
_ROWS = 4096
_ARRAYS = {"features.npy", "paths.npy"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    count : int
        Vectors taken in.
    absent : list of Skipped
        Those among them whose picture is missing or broken: they are found, but cannot be shown.
    generation : str
        The new generation.
    """

    count: int
    absent: list[Skipped]
    generation: str


def export_npz(index_dir: Path, target: Path) -> int:
    """Write an index's vectors and paths, and return how many.

    ``features`` is float32 of shape (n, D), of unit length; ``paths`` is an array of text, shape (n,),
    relative to the gallery's folder. The file is complete or not there.

    Raises
    ------
    StoreError
        There is no index, or the target cannot be written.
    """
    with Store.open(index_dir) as store, writing(target.parent):
        paths = np.array([item.path for item in store.catalog.page(0, len(store))], dtype=np.str_)
        with replacing(target) as file:
            np.savez(file, features=store.features, paths=paths)
        return len(paths)


def import_npz(
    source: Path,
    index_dir: Path,
    *,
    root: Path | None,
    model: str,
    fingerprint: Fingerprint,
    thumbnails_dir: Path,
    progress: Progress | None = None,
) -> Imported:
    """Make a new generation of vectors that were computed elsewhere.

    That they were computed by the encoder in use cannot be seen from them: the caller vouches for it.

    Parameters
    ----------
    source : Path
        ``.npz`` with ``features``, shape (n, D), of any length and any float type, and ``paths``, shape
        (n,).
    index_dir : Path
        The index.
    root : Path, optional
        Folder that relative paths start from and that absolute ones lie in; unless given, the deepest one
        that holds all (absolute) paths.
    model, fingerprint
        Of the encoder in use.
    thumbnails_dir : Path
        Where thumbnails of the pictures that exist are made.
    progress : callable, optional
        Called with the number of pictures done and of all.

    Raises
    ------
    StoreError
        The file is of another kind, D differs, a vector has no direction, or a path comes twice or leads
        out of the root.
    """
    features, texts = _read_npz(source, fingerprint.dim)
    _check_directions(features, texts)
    root, paths = _relative(texts, root)
    order = sorted(range(len(paths)), key=paths.__getitem__)
    blocks = (unit(features[order[start : start + _ROWS]]) for start in range(0, len(order), _ROWS))
    thumbnails, items, absent = Thumbnails(thumbnails_dir), list[Item](), list[Skipped]()
    scanned = time.time_ns()
    with writing(index_dir), exclusive(index_dir):
        for number, place in enumerate(order, start=1):
            item, why = _item(root, paths[place], thumbnails)
            items.append(item)
            if why:
                absent.append(Skipped(item.path, why))
            if progress is not None:
                progress(number, len(order))
        generation = write_generation(
            index_dir, items, blocks, model=model, fingerprint=fingerprint, root=root,
            attribution=attribution(root), scanned=scanned,
        )  # fmt: skip
    return Imported(len(items), absent, generation)


def _read_npz(source: Path, dim: int) -> tuple[NDArray[np.floating], list[str]]:
    try:
        with zipfile.ZipFile(source) as archive:
            if not {entry.filename for entry in archive.infolist()} >= _ARRAYS:
                raise StoreError(f"{source} does not hold the arrays features and paths.")
            for name in sorted(_ARRAYS):
                _check_header(archive, name, dim)
        with np.load(source, allow_pickle=False) as arrays:
            features, paths = arrays["features"], arrays["paths"].tolist()
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise StoreError(f"{source} cannot be read as .npz: {error}") from error
    if len(features) != len(paths):
        raise StoreError(f"{source} holds {len(features)} vectors and {len(paths)} paths.")
    return features, paths


def _check_header(archive: zipfile.ZipFile, name: str, dim: int) -> None:
    """Judge an array by its header before it is unpacked: a small zip can claim to hold any amount."""
    entry = archive.getinfo(name)
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if name == "features.npy":
        wanted = f"floats of shape (n, {dim})"
        sound = dtype.kind == "f" and len(shape) == 2 and shape[1] == dim
    else:
        wanted = "text of shape (n,)"
        sound = dtype.kind == "U" and len(shape) == 1
    if not sound:
        raise StoreError(f"{name} is {dtype} of shape {shape}; it must be {wanted}.")
    if not 0 < shape[0] <= MAX_ROWS or size != entry.file_size:
        raise StoreError(f"{name} does not hold the {shape[0]} rows it claims (1 to {MAX_ROWS:,}).")


def _check_directions(features: NDArray[np.floating], texts: Sequence[str]) -> None:
    for start in range(0, len(features), _ROWS):
        bad = np.flatnonzero(~usable(features[start : start + _ROWS]))
        if len(bad):
            path = texts[start + int(bad[0])]
            raise StoreError(f"The vector of {path!r} has no direction: NaN, infinity, or only zeros.")


def _relative(texts: Sequence[str], root: Path | None) -> tuple[Path, list[str]]:
    """Return the root, and the paths relative to it."""
    given = [_posix(text) for text in texts]
    if root is None:
        if not all(path.is_absolute() for path in given):
            raise StoreError("The paths are relative: say with --root from which folder.")
        root = Path(os.path.commonpath([path.parent for path in given]))
    root = root.expanduser().absolute()
    paths = [_inside(path, (root, root.resolve())) for path in given]
    repeated = [path for path, times in Counter(paths).items() if times > 1]
    if repeated:
        raise StoreError(f"{repeated[0]!r} comes twice.")
    return root.resolve(), paths


def _posix(text: str) -> PurePosixPath:
    """Read a path as it may have been written on Windows too."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"{text!r} is no path.") from error
    if not text or "\0" in text:
        raise StoreError(f"{text!r} is no path.")
    return PurePosixPath(os.path.normpath(text.replace("\\", "/")))


def _inside(path: PurePosixPath, roots: Sequence[Path]) -> str:
    if path.is_absolute():
        path = next((path.relative_to(root) for root in roots if path.is_relative_to(root)), path)
    if path.is_absolute() or not path.parts or path.parts[0] == "..":
        raise StoreError(f"{str(path)!r} does not lie in {roots[0]}.")
    return str(path)


def _item(root: Path, path: str, thumbnails: Thumbnails) -> tuple[Item, str]:
    """Return an item with what its file tells; without a usable file, a bare one and the reason."""
    bare = Item(item_id(path), path, "", 0, 0, 0, 0, "")
    if not Path(os.path.realpath(root / path)).is_relative_to(root):
        return bare, "a link out of the folder"
    try:
        found, sha256, data = load(root, path)
        info = probe(data)
        if not thumbnails.complete(sha256, info.format):
            thumbnails.make(sha256, info.format, open_rgb(data))
    except (OSError, PictureError) as error:
        return bare, reason(error)
    return Item(bare.id, path, sha256, found.size, found.mtime, info.width, info.height, info.format), ""
