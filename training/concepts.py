"""What photographs and pictograms have in common: the words of ``concepts.txt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from training.packs import read_classes

CONFIDENT = 0.25  # probability from which on a photograph is said to show a thing

_CONCEPTS = Path(__file__).with_name("concepts.txt")


class Concept(NamedTuple):
    """A word, the plain codes of the pictograms and the names of ImageNet's classes that show it."""

    word: str
    codes: list[str]
    classes: list[str]


class Concepts:
    """Which classes of photographs and which pictograms show which concepts.

    Parameters
    ----------
    codes : sequence of str
        The pictograms, in the order in which they are numbered.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        numbers = {code: number for number, code in enumerate(codes)}
        names: dict[str, list[int]] = {}
        for label, (_, name) in enumerate(read_classes()):
            names.setdefault(name, []).append(label)
        concepts = read_concepts()
        self._of_classes = torch.zeros(sum(map(len, names.values())), len(concepts))
        self._of_codes = torch.zeros(len(codes), len(concepts))
        for column, concept in enumerate(concepts):
            self._of_classes[[label for name in concept.classes for label in names[name]], column] = 1
            self._of_codes[[numbers[code] for code in concept.codes if code in numbers], column] = 1

    def of_photographs(self, chances: Tensor) -> Tensor:
        """Return how surely photographs show each concept, (n, concepts), from their classes' chances."""
        sure = chances @ self._of_classes
        return torch.where(sure > CONFIDENT, sure, 0.0)

    def of_pictograms(self, numbers: Tensor) -> Tensor:
        """Return 1 for each concept that pictograms show, (n, concepts)."""
        return self._of_codes[numbers]


def read_concepts() -> list[Concept]:
    """Read ``concepts.txt``."""
    lines = _CONCEPTS.read_text(encoding="utf-8").splitlines()
    fields = (line.split("|") for line in lines if line[:1] != "#")
    return [
        Concept(word.strip(), codes.split(), [name.strip() for name in classes.split(",")])
        for word, codes, classes in fields
    ]
