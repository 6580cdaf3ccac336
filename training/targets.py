"""What each class is to be recognised as: itself, what it shares with the other kind, and its group.

All classes, the words of ``concepts.txt`` and the pictograms' groups are rows of one table, and a class's
target is a mixture of rows. A photograph of a cat and a pictogram of a cat so lean on one row, "cat"
(besides their own), and lie near each other; that is how one finds the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.packs import Pack

_CONCEPTS = Path(__file__).with_name("concepts.txt")
CONCEPT_SHARE, GROUP_SHARE = 0.3, 0.1


@dataclass(frozen=True)
class Targets:
    """The table's rows, each class's mixture of them, and which classes of the two kinds show the same.

    Attributes
    ----------
    rows : tuple of str
        ``photographs:NAME``, ``pictograms:CODE``, ``concept:WORD`` and ``group:NAME``.
    mixtures : ndarray of float32, shape (classes, len(rows))
        Each sums to 1. One line for each distinct class of all packs.
    labels : tuple of ndarray of int64
        For each pack, the line in `mixtures` of each of its pictures.
    alike : mapping of int to tuple of int
        For the lines of photographs' classes, the lines of the pictograms that share a word with them.
    """

    rows: tuple[str, ...]
    mixtures: NDArray[np.float32]
    labels: tuple[NDArray[np.int64], ...]
    alike: Mapping[int, tuple[int, ...]]


def build_targets(packs: Sequence[Pack]) -> Targets:
    """Bring the classes of all packs together; pictograms of one code are one class in every rendering."""
    classes = sorted({f"{pack.kind}:{name}" for pack in packs for name in pack.names})
    line = {name: number for number, name in enumerate(classes)}
    concepts = _concepts_of(classes)
    groups = {
        f"{pack.kind}:{name}": f"group:{group}" for pack in packs for name, group in pack.groups.items()
    }
    shared = sorted({row for rows in concepts.values() for row in rows})
    rows = (*classes, *shared, *sorted({groups[name] for name in classes if name in groups}))
    column = {name: number for number, name in enumerate(rows)}
    mixtures = np.zeros((len(classes), len(rows)), np.float32)
    for name in classes:
        own = 1.0
        if words := concepts.get(name):
            own -= CONCEPT_SHARE
            mixtures[line[name], [column[word] for word in words]] = CONCEPT_SHARE / len(words)
        if group := groups.get(name):
            own -= GROUP_SHARE
            mixtures[line[name], column[group]] = GROUP_SHARE
        mixtures[line[name], column[name]] = own
    labels = (np.array([line[f"{pack.kind}:{name}"] for name in pack.names])[pack.labels] for pack in packs)
    return Targets(rows, mixtures, tuple(labels), _alike(concepts, line))


def _alike(concepts: Mapping[str, Sequence[str]], line: Mapping[str, int]) -> dict[int, tuple[int, ...]]:
    """Find, for each class of photographs, the pictograms with one of its words."""
    drawn: dict[str, set[int]] = {}
    for name, words in concepts.items():
        for word in words if name.startswith("pictograms:") else ():
            drawn.setdefault(word, set()).add(line[name])
    return {
        line[name]: tuple(sorted(set().union(*(drawn[word] for word in words))))
        for name, words in concepts.items()
        if name.startswith("photographs:")
    }


def _concepts_of(classes: Sequence[str]) -> dict[str, list[str]]:
    """Find the words that each class has in common with classes of the other kind."""
    photographs: dict[str, list[str]] = {}
    for name in classes:
        if name.startswith("photographs:"):
            photographs.setdefault(spoken_name(name.partition(":")[2]), []).append(name)
    known, found = set(classes), dict[str, list[str]]()
    for word, codes, names in read_concepts():
        pictograms = [f"pictograms:{code}" for code in codes if f"pictograms:{code}" in known]
        fitting = [full for name in names for full in photographs.get(name, [])]
        if pictograms and fitting:
            for name in (*pictograms, *fitting):
                found.setdefault(name, []).append(f"concept:{word}")
    return found


def spoken_name(name: str) -> str:
    """Return the first word of a class: ``tabby`` of ``n02123045 tabby, tabby cat``."""
    number, _, words = name.partition(" ")
    wordnet = len(number) == 9 and number[0] == "n" and number[1:].isdigit()
    return (words if wordnet else name).split(",")[0]


def read_concepts() -> list[tuple[str, list[str], list[str]]]:
    """Read ``concepts.txt``: word, pictograms' codes, photographs' names."""
    lines = (line for line in _CONCEPTS.read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    fields = (line.split("|") for line in lines)
    return [
        (word.strip(), codes.split(), [name.strip() for name in names.split(",")])
        for word, codes, names in fields
    ]
