"""Packs: the form in which labelled pictures reach the trainer.

A pack is one ``.npz`` file of small square pictures with a class each, and a word about where they come
from, which the model's card repeats. It is read without unpickling anything.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.files import replacing

Kind = Literal["photographs", "pictograms"]
KINDS: tuple[Kind, ...] = ("photographs", "pictograms")


class PackError(ValueError):
    """A file is no pack, or a folder holds none."""


@dataclass(frozen=True)
class Pack:
    """Labelled pictures of one source.

    Attributes
    ----------
    pictures : ndarray of uint8, shape (n, S, S, 3)
        Upright RGB; of a pictogram, on white.
    labels : ndarray of int64, shape (n,)
        Each an index into `names`.
    names : tuple of str
        What the classes are called: of photographs, a word; of pictograms, their code points in lower-case
        hexadecimal, joined by hyphens, without the variation selector.
    groups : mapping of str to str
        The wider group of a class, for the names that have one.
    kind : {"photographs", "pictograms"}
    about : mapping of str to str
        ``title``, ``source`` and ``licence``, for the card.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    groups: Mapping[str, str]
    kind: Kind
    about: Mapping[str, str]


def save_pack(path: Path, pack: Pack) -> None:
    """Write a pack; `path` gets its name when the file is complete."""
    facts = {
        "names": pack.names,
        "groups": dict(pack.groups),
        "kind": pack.kind,
        "about": dict(pack.about),
    }
    with replacing(path, draft=path.with_name(f".{path.name}.part")) as file:
        np.savez(file, pictures=pack.pictures, labels=pack.labels, facts=np.array(json.dumps(facts)))


def load_pack(path: Path) -> Pack:
    """Read a pack.

    Raises
    ------
    PackError
        The file is damaged, or pictures, labels and names do not fit together.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            pictures, labels, facts = file["pictures"], file["labels"], json.loads(str(file["facts"]))
        pack = Pack(pictures, labels, tuple(facts["names"]), facts["groups"], facts["kind"], facts["about"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PackError(f"{path} is no pack: {error}") from error
    square = pictures.ndim == 4 and pictures.shape[1] == pictures.shape[2] and pictures.shape[3] == 3
    if not square or pictures.dtype != np.uint8 or not len(pictures):
        raise PackError(f"{path} holds {pictures.dtype} of shape {pictures.shape}, not square RGB pictures.")
    if labels.shape != pictures.shape[:1] or labels.min() < 0 or labels.max() >= len(pack.names):
        raise PackError(f"{path} has labels that do not fit its {len(pictures)} pictures.")
    if pack.kind not in KINDS:
        raise PackError(f"{path} is of the kind {pack.kind!r}; expected one of {', '.join(KINDS)}.")
    return pack


def load_packs(folder: Path) -> list[Pack]:
    """Read all packs in a folder, in the order of their names.

    Raises
    ------
    PackError
        There is none, or one is damaged.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise PackError(f"{folder} holds no packs (*.npz); python -m training.prepare makes them.")
    return [load_pack(path) for path in paths]
