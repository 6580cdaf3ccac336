"""The figures of the card: ``python -m training.evaluate CHECKPOINT --labelled DIR ...``.

Every part is optional: what is given is measured. CHECKPOINT is a file, ``random``, ``histogram`` or
``teacher``; patch tokens are compared for files only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery.evaluation import score
from gallery.pictograms import path_for
from model.pictures import open_rgb
from training.changes import MILD, STRONG
from training.correspondence import MAPS, median_error
from training.encoders import Encode, Vectors, encode_all, encoder_named, patches_of
from training.lists import fitting, read_list
from training.pictograms import draw_openmoji, renderings

TOP = 10
CHANGED = 150  # photographs that the strong changes are made of
_PATCHED = 40  # photographs whose patch tokens are compared

Labelled = tuple[list[str], Vectors]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("--labelled", type=Path, metavar="DIR", help="folders are labels")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="change only every Nth of them")
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="files named NUMBER_CLASS.JPEG")
    parser.add_argument(
        "--vendor", metavar="NAME=DIR", nargs="*", default=[], help="pictograms in files named CODE.png"
    )
    parser.add_argument("--vendor-every", type=int, default=1, metavar="N", help="use only every Nth of them")
    parser.add_argument("--resize", type=int, metavar="PX", help="try another size: shorter side and crop")
    options = parser.parse_args(arguments)
    encode = encoder_named(options.checkpoint, options.resize)
    found: dict[str, Any] = {}
    labelled = None
    if options.labelled is not None:
        labelled, figures = measure_labelled(encode, options.labelled, options.every)
        found |= figures
    if options.photographs is not None:
        found |= measure_photographs(encode, options.photographs, labelled)
        if Path(options.checkpoint).is_file():
            found["patch error"] = measure_patches(options.checkpoint, options.photographs, options.resize)
    if options.photographs is not None or options.vendor:
        vendors = {name: Path(folder) for name, _, folder in (text.partition("=") for text in options.vendor)}
        found |= measure_pictograms(encode, options.photographs, vendors, options.vendor_every)
    print(json.dumps(found, indent=1))
    return 0


def measure_labelled(encode: Encode, folder: Path, every: int = 1) -> tuple[Labelled, dict[str, Any]]:
    """Score labelled pictures, and seek every Nth of them, mildly changed, among all.

    Parameters
    ----------
    encode : callable
        Makes unit vectors of RGB pictures.
    folder : Path
        Its folders are labels.
    every : int

    Returns
    -------
    (list of str, ndarray of float32)
        Label and vector of each picture.
    dict
        The figures.
    """
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    pictures = [open_rgb(path) for path in paths]
    vectors = encode_all(encode, pictures)
    names = [path.parent.name for path in paths]
    scores = score(vectors, np.unique(names, return_inverse=True)[1])
    figures = {"p1": scores.p_at_1, "p10": scores.p_at_10, "map10": scores.map_at_10}
    same = {
        name: found_first(encode_all(encode, [change(p) for p in pictures[::every]]), vectors, every)
        for name, change in MILD.items()
    }
    return (names, vectors), {folder.name: figures, f"same picture first among {len(paths)}": same}


def measure_photographs(encode: Encode, folder: Path, labelled: Labelled | None) -> dict[str, Any]:
    """Seek strongly changed photographs among all, and things among these and the labelled pictures."""
    paths = sorted(folder.glob("n*_*.JPEG"))
    pictures = [open_rgb(path) for path in paths]
    vectors = encode_all(encode, pictures)
    every = max(1, len(paths) // CHANGED)
    chosen = range(0, every * min(CHANGED, len(paths)), every)
    same = {
        name: found_first(encode_all(encode, [change(pictures[at]) for at in chosen]), vectors, every)
        for name, change in STRONG.items()
    }
    names = [path.stem for path in paths]
    gallery: Labelled = (names, vectors)
    if labelled is not None:
        gallery = (names + labelled[0], np.concatenate([vectors, labelled[1]]))
    queries = {name.partition("_")[2]: (at, vectors[at]) for at, name in enumerate(names)}
    things = find_things(queries, gallery, read_list("things"))
    return {f"same photograph first among {len(paths)}": same, "things": things}


def find_things(
    queries: Mapping[str, tuple[int, NDArray[np.float32]]],
    gallery: Labelled,
    things: Iterable[tuple[str, Sequence[str]]],
) -> dict[str, Any]:
    """Let a photograph of each thing search among others.

    Parameters
    ----------
    queries : mapping of str to (int, ndarray of float32)
        For each thing, its row in the gallery, which is left out, and its vector.
    gallery : (list of str, ndarray of float32)
        Names and vectors.
    things : iterable of (str, sequence of str)
        Each thing and the patterns of the names that fit.

    Returns
    -------
    dict
        For each thing the ten names found and how many of them fit; ``fit``, how many things have one.
    """
    names, vectors = gallery
    found: dict[str, Any] = {}
    for thing, patterns in things:
        own, query = queries[thing]
        cosines = vectors @ query
        cosines[own] = -2
        hits = [names[at] for at in cosines.argsort()[::-1][:TOP]]
        found[thing] = {"hits": hits, "fitting": len(fitting(hits, patterns))}
    return {"fit": sum(thing["fitting"] > 0 for thing in found.values()), "of": len(found), **found}


def measure_pictograms(
    encode: Encode, photographs: Path | None, vendors: Mapping[str, Path], every: int = 1
) -> dict[str, Any]:
    """Let photographs of everyday things and other vendors' pictograms search the demo gallery."""
    codes, drawings = zip(*draw_openmoji()[1], strict=True)
    gallery = encode_all(encode, drawings)
    found: dict[str, Any] = {}
    if photographs is not None:
        found["everyday things"] = everyday(encode, photographs, codes, gallery)
    for name, folder in vendors.items():
        sought = seek_renderings(encode, folder, codes, gallery, every)
        r1, r10 = (float((sought.ranks < top).mean()) for top in (1, TOP))
        found[f"{name} -> OpenMoji"] = {"r1": r1, "r10": r10, "queries": len(sought.ranks)}
    return found


def everyday(encode: Encode, folder: Path, codes: Sequence[str], gallery: Vectors) -> dict[str, Any]:
    """Let photographs of everyday things search among the pictograms; as `find_things`."""
    things = read_list("everyday")
    pictures = [open_rgb(next(folder.glob(f"n*_{thing}.JPEG"))) for thing, _ in things]
    vectors = np.concatenate([gallery, np.full_like(gallery[:1], -1)])  # a row for the query, never found
    queries = {thing: (len(codes), query) for (thing, _), query in zip(things, encode(pictures), strict=True)}
    return find_things(queries, ([*map(path_for, codes), ""], vectors), things)


class Sought(NamedTuple):
    """Another vendor's pictograms and where they find their own among the gallery's.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, D)
    right : ndarray of int, shape (n,)
        Which row of the gallery each should find.
    ranks : ndarray of int, shape (n,)
        How many others are found before it; a tie helps nobody.
    """

    vectors: Vectors
    right: NDArray[np.int64]
    ranks: NDArray[np.int64]


def seek_renderings(
    encode: Encode, folder: Path, codes: Sequence[str], gallery: Vectors, every: int = 1
) -> Sought:
    """Let another vendor's renderings search for the same pictograms; what the gallery lacks is left out."""
    vendor = renderings(folder)
    rows = [row for row, code in enumerate(codes) if code in vendor][::every]
    right = np.array(rows)
    vectors = encode_all(encode, [vendor[codes[row]].open() for row in rows])
    cosines = vectors @ gallery.T
    ranks = (cosines >= cosines[np.arange(len(right)), right, None]).sum(axis=1) - 1
    return Sought(vectors, right, ranks)


def measure_patches(checkpoint: str, folder: Path, side: int | None = None) -> dict[str, float]:
    """Median error in patches between photographs and their changed copies; see `correspondence`."""
    paths = sorted(folder.glob("n*_*.JPEG"))
    pictures = [square(open_rgb(path)) for path in paths[:: max(1, len(paths) // _PATCHED)]]
    patches = patches_of(checkpoint, side)
    return {name: median_error(patches, pictures, matrix) for name, matrix in MAPS.items()}


def square(picture: Image.Image) -> Image.Image:
    """Cut out the largest square in the middle."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def found_first(queries: Vectors, gallery: Vectors, every: int = 1) -> float:
    """Share of the queries to which the row that they were made of, every Nth one, is nearest."""
    return float(((queries @ gallery.T).argmax(axis=1) == every * np.arange(len(queries))).mean())


if __name__ == "__main__":
    raise SystemExit(main())
