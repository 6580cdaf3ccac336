"""Export an index's features to one ``.npz`` file, and make an index from such a file.

The file has two arrays, ``features`` of shape (n, D) and ``paths`` of shape (n,): what a feature extraction
script writes with ``numpy.savez``. Features that were computed elsewhere, on a GPU or for another program,
can be searched without encoding the pictures again. A file is untrusted: pickles are refused, and sizes are
checked before anything is unpacked.

Called by ``flask gallery export`` and ``flask gallery import``.
"""

from __future__ import annotations

import math
import os
import time
import zipfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from gallery.about import read_attribution
from gallery.catalog import Catalog, Item, item_id
from gallery.encoding import Progress
from gallery.errors import IndexMissingError, PathRefusedError, StoreError
from gallery.files import writing
from gallery.folders import check_root
from gallery.locks import exclusive
from gallery.reading import load, reason
from gallery.scanning import FileIssue
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
    """Result of an import.

    Attributes
    ----------
    count : int
        Number of imported features.
    absent : list of FileIssue
        Those whose picture is missing or broken: they can be results, but cannot be shown.
    generation : str
        Name of the new generation.
    """

    count: int
    absent: list[FileIssue]
    generation: str


def export_npz(index_dir: Path, target: Path) -> int:
    """Write an index's features and paths, and return their number.

    ``features`` is float32 of shape (n, D), with rows of length 1; ``paths`` is an array of text, shape (n,),
    relative to the gallery's folder. An interrupted export leaves no file.

    Parameters
    ----------
    index_dir : Path
        The index.
    target : Path
        The file to write; replaced if it exists.

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
    private: Collection[Path] = (),
    progress: Progress | None = None,
) -> Imported:
    """Make a new generation from features that were computed elsewhere.

    Features do not tell which encoder computed them: the caller must know that it was the one in use.

    Parameters
    ----------
    source : Path
        ``.npz`` with ``features``, shape (n, D), rows of any length and any float type, and ``paths``,
        shape (n,).
    index_dir : Path
        The index.
    root : Path, optional
        Folder that relative paths are relative to and that contains absolute ones. By default, the folder of
        the index in use: the file itself must not choose what the site shows.
    model, fingerprint
        Of the encoder in use.
    thumbnails_dir : Path
        Where thumbnails of the existing pictures are written.
    private : collection of Path
        Folders that must not be shown; see `gallery.folders.check_root`.
    progress : callable, optional
        Called with the number of pictures done and the number of all pictures.

    Raises
    ------
    IndexBusyError
        Another process is writing the index.
    StoreError
        The file is of another kind, D differs, a feature has no direction, there is no root or it may not be
        a gallery, or a path is repeated or leads out of it.
    """
    features, texts = _read_npz(source, fingerprint.dim)
    _check_directions(features, texts)
    root, paths = _relative(texts, root or _root_in_use(index_dir, texts))
    check_root(root, private)
    order = sorted(range(len(paths)), key=paths.__getitem__)
    blocks = (unit(features[order[start : start + _ROWS]]) for start in range(0, len(order), _ROWS))
    thumbnails, items, absent = Thumbnails(thumbnails_dir), list[Item](), list[FileIssue]()
    scanned = time.time_ns()
    with writing(index_dir), exclusive(index_dir):
        for number, row in enumerate(order, start=1):
            item, problem = _item(root, paths[row], thumbnails)
            items.append(item)
            if problem:
                absent.append(FileIssue(item.path, problem))
            if progress is not None:
                progress(number, len(order))
        generation = write_generation(
            index_dir, items, blocks, model=model, fingerprint=fingerprint, root=root,
            attribution=read_attribution(root), scanned=scanned,
        )  # fmt: skip
    return Imported(len(items), absent, generation)


def _read_npz(source: Path, dim: int) -> tuple[NDArray[np.floating], list[str]]:
    try:
        with zipfile.ZipFile(source) as archive:
            if not {entry.filename for entry in archive.infolist()} >= _ARRAYS:
                raise StoreError(f"{source} does not contain the arrays features and paths.")
            for name in sorted(_ARRAYS):
                _check_header(archive, name, dim)
        with np.load(source, allow_pickle=False) as arrays:
            features, paths = arrays["features"], arrays["paths"].tolist()
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise StoreError(f"{source} cannot be read as .npz: {error}") from error
    if len(features) != len(paths):
        raise StoreError(f"{source} contains {len(features)} features and {len(paths)} paths.")
    return features, paths


def _check_header(archive: zipfile.ZipFile, name: str, dim: int) -> None:
    """Check an array's header before it is unpacked: a small zip can claim any size."""
    entry = archive.getinfo(name)
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if name == "features.npy":
        expected = f"floats of shape (n, {dim})"
        sound = dtype.kind == "f" and len(shape) == 2 and shape[1] == dim
    else:
        expected = "text of shape (n,)"
        sound = dtype.kind == "U" and len(shape) == 1
    if not sound:
        raise StoreError(f"{name} is {dtype} of shape {shape}; it must be {expected}.")
    if not 0 < shape[0] <= MAX_ROWS or size != entry.file_size:
        raise StoreError(
            f"{name} does not contain the {shape[0]} rows that its header claims, "
            f"or not 1 to {MAX_ROWS:,} rows."
        )


def _check_directions(features: NDArray[np.floating], texts: Sequence[str]) -> None:
    for start in range(0, len(features), _ROWS):
        bad = np.flatnonzero(~usable(features[start : start + _ROWS]))
        if len(bad):
            path = texts[start + int(bad[0])]
            raise StoreError(
                f"The feature of {path!r} has no direction: it contains NaN or infinity, or only zeros."
            )


def _relative(texts: Sequence[str], root: Path) -> tuple[Path, list[str]]:
    """Return the root and the paths relative to it."""
    given = [_posix(text) for text in texts]
    root = root.expanduser().absolute()
    paths = [_inside(path, (root, root.resolve())) for path in given]
    repeated = [path for path, times in Counter(paths).items() if times > 1]
    if repeated:
        raise StoreError(f"The path {repeated[0]!r} is repeated.")
    return root.resolve(), paths


def _root_in_use(index_dir: Path, texts: Sequence[str]) -> Path:
    """Return the gallery's folder, which somebody named before."""
    try:
        with Catalog.open(index_dir) as catalog:
            return Path(catalog.manifest.root)
    except IndexMissingError as error:
        given = [_posix(text) for text in texts]
        common = ""
        if all(path.is_absolute() for path in given):
            common = f" All paths are in {os.path.commonpath([path.parent for path in given])}."
        raise StoreError(
            "Pass --root, the folder with the pictures; everybody who can open the site can see them."
            f"{common}"
        ) from error


def _posix(text: str) -> PurePosixPath:
    """Parse a path, which may have been written on Windows."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"{text!r} is not a path.") from error
    if not text or "\0" in text:
        raise StoreError(f"{text!r} is not a path.")
    return PurePosixPath(os.path.normpath(text.replace("\\", "/")))


def _inside(path: PurePosixPath, roots: Sequence[Path]) -> str:
    if path.is_absolute():
        path = next((path.relative_to(root) for root in roots if path.is_relative_to(root)), path)
    if path.is_absolute() or not path.parts or path.parts[0] == "..":
        raise StoreError(f"{str(path)!r} is not in {roots[0]}.")
    return str(path)


def _item(root: Path, path: str, thumbnails: Thumbnails) -> tuple[Item, str]:
    """Return an item filled from its file; without a usable file, an item with only a path, and why."""
    bare = Item(item_id(path), path, "", 0, 0, 0, 0, "")
    try:
        file, sha256, data = load(root, path)
        info = probe(data)
        if not thumbnails.complete(sha256, info.format):
            thumbnails.make(sha256, info.format, open_rgb(data))
    except (OSError, PathRefusedError, PictureError, MemoryError) as error:
        return bare, reason(error)
    return Item(bare.id, path, sha256, file.size, file.mtime, info.width, info.height, info.format), ""
