"""The figures of the card: ``python -m training.evaluate CHECKPOINT --labelled DIR ...``.

Every part is optional: what is given is measured. CHECKPOINT may also be ``histogram`` or ``random``.
"""

from __future__ import annotations

import argparse
import fnmatch
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from gallery.evaluation import score
from gallery.pictograms import path_for
from model import load_encoder
from model.pictures import open_rgb
from model.preprocess import Geometry
from training.baselines import histogram, random_weights
from training.packs import load_pack
from training.pictograms import draw_openmoji

_EVERYDAY = Path(__file__).with_name("everyday.txt")
TOP = 10
_CHUNK = 256

Vectors = NDArray[np.float32]
Encode = Callable[[list[Image.Image]], Vectors]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("--labelled", type=Path, metavar="DIR", help="folders are labels")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="change only every Nth of them")
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="files named NUMBER_CLASS.JPEG")
    parser.add_argument("--vendor", type=Path, metavar="PACK", nargs="*", default=[])
    parser.add_argument("--resize", type=int, help="another size of the preprocessing, to try it")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        random = options.checkpoint == "random"
        checkpoint = random_weights(Path(folder)) if random else Path(options.checkpoint)
        known = options.checkpoint == "histogram"
        encode = histogram if known else encoder_of(checkpoint, options.resize)
    found = measure(encode, options.labelled, options.photographs, options.vendor, options.every)
    print(json.dumps(found, indent=1))
    return 0


def measure(
    encode: Encode, labelled: Path | None, photographs: Path | None, vendors: Sequence[Path], every: int = 1
) -> dict[str, Any]:
    """Measure what is given.

    Parameters
    ----------
    encode : callable
        Makes unit vectors of RGB pictures.
    labelled : Path, optional
        A folder whose folders are labels.
    photographs : Path, optional
        A folder with the photographs that ``everyday.txt`` names.
    vendors : sequence of Path
        Packs of pictograms in other renderings.
    every : int
        Only every so many of the labelled pictures is changed and sought.
    """
    found: dict[str, Any] = {}
    if labelled is not None:
        found |= _labelled(encode, labelled, every)
    if photographs is not None or vendors:
        codes, drawings = zip(*draw_openmoji()[1], strict=True)
        gallery = encode_all(encode, drawings)
        if photographs is not None:
            found["everyday things"] = everyday(encode, photographs, codes, gallery)
        for path in vendors:
            found[f"{path.stem} -> OpenMoji"] = renderings(encode, path, codes, gallery)
    return found


def _labelled(encode: Encode, folder: Path, every: int) -> dict[str, Any]:
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    pictures = [open_rgb(path) for path in paths]
    vectors = encode_all(encode, pictures)
    _, labels = np.unique([path.parent.name for path in paths], return_inverse=True)
    scores = score(vectors, labels)
    same = {
        name: found_first(
            encode_all(encode, [change(picture) for picture in pictures[::every]]), vectors, every
        )
        for name, change in CHANGES.items()
    }
    means = {"p1": scores.p_at_1, "p10": scores.p_at_10, "map10": scores.map_at_10}
    return {folder.name: means, f"same picture found first among {len(paths)}": same}


def found_first(queries: Vectors, gallery: Vectors, every: int = 1) -> float:
    """Share of the queries to which the row that they were made of, every Nth one, is nearest."""
    return float(((queries @ gallery.T).argmax(axis=1) == every * np.arange(len(queries))).mean())


def everyday(encode: Encode, folder: Path, codes: Sequence[str], gallery: Vectors) -> dict[str, Any]:
    """Let photographs of everyday things search among the pictograms.

    Returns
    -------
    dict
        For each thing the ten paths found and how many of them fit; ``fit``, how many things have one.
    """
    names = np.array([path_for(code) for code in codes])
    found: dict[str, Any] = {}
    for thing, patterns in read_everyday():
        (path,) = folder.glob(f"n*_{thing}.JPEG")
        order = (gallery @ encode([open_rgb(path)])[0]).argsort()[::-1][:TOP]
        hits = [str(name) for name in names[order]]
        found[thing] = {"hits": hits, "fitting": len(fitting(hits, patterns))}
    return {"fit": sum(thing["fitting"] > 0 for thing in found.values()), "of": len(found), **found}


def fitting(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return those of the paths that one of the patterns fits."""
    return [path for path in paths if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)]


def read_everyday() -> list[tuple[str, list[str]]]:
    """Read ``everyday.txt``: a photograph's class, and patterns of the paths that fit."""
    lines = (line for line in _EVERYDAY.read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    fields = (line.split("|") for line in lines)
    return [(thing.strip(), patterns.split()) for thing, patterns in fields]


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


def seek_renderings(encode: Encode, pack: Path, codes: Sequence[str], gallery: Vectors) -> Sought:
    """Let another vendor's renderings search for the same pictograms; what the gallery lacks is left out."""
    vendor = load_pack(pack)
    known = {code: number for number, code in enumerate(codes)}
    chosen = [at for at, label in enumerate(vendor.labels) if vendor.names[label] in known]
    right = np.array([known[vendor.names[vendor.labels[at]]] for at in chosen])
    vectors = encode_all(encode, [Image.fromarray(vendor.pictures[at]) for at in chosen])
    cosines = vectors @ gallery.T
    ranks = (cosines >= cosines[np.arange(len(right)), right, None]).sum(axis=1) - 1
    return Sought(vectors, right, ranks)


def renderings(encode: Encode, pack: Path, codes: Sequence[str], gallery: Vectors) -> dict[str, float]:
    """Count how many of another vendor's renderings find the same pictogram first, and among the ten."""
    ranks = seek_renderings(encode, pack, codes, gallery).ranks
    return {"r1": float((ranks < 1).mean()), "r10": float((ranks < TOP).mean()), "queries": len(ranks)}


def encoder_of(checkpoint: Path, resize: int | None = None) -> Encode:
    """Return what makes unit vectors with a checkpoint, as Vitrine runs it."""
    encoder = load_encoder(checkpoint)
    if resize is not None:
        encoder.geometry = Geometry(resize, encoder.geometry.crop)

    def encode(pictures: list[Image.Image]) -> Vectors:
        features = encoder.encode(pictures, batch_size=32)
        return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True))

    return encode


def encode_all(encode: Encode, pictures: Sequence[Image.Image]) -> Vectors:
    """Encode many pictures, some at a time."""
    parts = range(0, len(pictures), _CHUNK)
    return np.concatenate([encode(list(pictures[start : start + _CHUNK])) for start in parts])


def _cropped(picture: Image.Image) -> Image.Image:
    width, height = (round(side * CROPPED) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _jpeg(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


CROPPED = 0.6**0.5  # of each side, so that 60 % of the area is left
CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "cropped60": _cropped,
    "darkened": lambda picture: ImageEnhance.Brightness(picture).enhance(0.5),
    "jpeg30": _jpeg,
}

if __name__ == "__main__":
    raise SystemExit(main())
