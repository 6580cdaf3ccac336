"""How near two pictures should lie: the teacher's view of them, what they show, and whether they are one.

A search compares cosines, so the student's cosines are what is taught. The target of two photographs is a
mean of the cosine of the teacher's features and the overlap of the classes that it sees in them. A photograph
and a pictogram lie nearer by what both show (`training.concepts`). Two views of a picture should lie at 1, so
should two renderings of a pictogram.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.batches import Batch
from training.concepts import Concepts
from training.packs import UNLABELLED
from training.teacher import Lesson

LABEL_SHARE = 0.7  # of a label, where a photograph has one, in what it shows; the rest is the teacher's
FEATURE_SHARE = 0.6
CONCEPT_SHARE = 0.6
MOST = 0.95  # two different pictures are not the same
PHOTOGRAPH = -1


class Rows(NamedTuple):
    """What is known of n pictures.

    Attributes
    ----------
    features : Tensor, shape (n, C)
        The teacher's, centred, of length 1.
    classes : Tensor, shape (n, 1000)
        Roots of the classes' probabilities: their products sum to the overlap of two distributions. 0 for
        pictograms, of which the teacher knows nothing.
    concepts : Tensor, shape (n, concepts)
    pictograms : Tensor of int64, shape (n,)
        Number of the pictogram, or `PHOTOGRAPH`.
    pictures : Tensor of int64, shape (n,)
        Equal for views of one picture.
    """

    features: Tensor
    classes: Tensor
    concepts: Tensor
    pictograms: Tensor
    pictures: Tensor

    def twice(self) -> Rows:
        """Repeat all rows, as a batch repeats its views."""
        return Rows(*(torch.cat([part, part]) for part in self))


def rows_of(batch: Batch, lesson: Lesson, mean: Tensor, concepts: Concepts, start: int) -> Rows:
    """Gather what is known of a batch's clean pictures.

    Parameters
    ----------
    batch : Batch
    lesson : Lesson
        What the teacher says of ``batch.clean``.
    mean : Tensor, shape (C,)
        Of the teacher's features.
    concepts : Concepts
    start : int
        Number of the batch's first picture.
    """
    photographs, count = len(batch.labels), len(batch.clean)
    features = functional.normalize(lesson.map.mean(dim=(2, 3)) - mean, dim=1)
    chances = lesson.logits.softmax(dim=1)
    chances[photographs:] = 0
    known = torch.from_numpy(batch.labels != UNLABELLED).nonzero()[:, 0]
    chances[known] *= 1 - LABEL_SHARE
    chances[known, torch.from_numpy(batch.labels)[known]] += LABEL_SHARE
    numbers = torch.from_numpy(batch.pictograms)
    shown = torch.cat([concepts.of_photographs(chances[:photographs]), concepts.of_pictograms(numbers)])
    kinds = torch.cat([torch.full((photographs,), PHOTOGRAPH), numbers])
    return Rows(features, chances.sqrt(), shown, kinds, torch.arange(start, start + count))


def target_cosines(rows: Rows, keys: Rows) -> Tensor:
    """Return how near each of n pictures should lie to each of m others, (n, m)."""
    near = FEATURE_SHARE * (rows.features @ keys.features.T)
    near = near + (1 - FEATURE_SHARE) * (rows.classes @ keys.classes.T)
    unlike = (rows.pictograms[:, None] == PHOTOGRAPH) != (keys.pictograms[None] == PHOTOGRAPH)
    near = near + CONCEPT_SHARE * unlike * (rows.concepts @ keys.concepts.T).clamp(max=1)
    drawn = rows.pictograms[:, None] != PHOTOGRAPH
    same = drawn & (rows.pictograms[:, None] == keys.pictograms[None])
    same |= rows.pictures[:, None] == keys.pictures[None]
    return torch.where(same, 1.0, near.clamp(max=MOST))


class Queue:
    """The pictures of the last batches: what is known of them, and where the student put them.

    Parameters
    ----------
    length : int
        Pictures that are kept.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.vectors: Tensor | None = None
        self.rows: Rows | None = None

    def add(self, vectors: Tensor, rows: Rows) -> None:
        """Put a batch first, and drop what is too old."""
        if self.vectors is None or self.rows is None:
            self.vectors, self.rows = vectors, rows
            return
        self.vectors = torch.cat([vectors, self.vectors])[: self.length]
        joined = (torch.cat(parts)[: self.length] for parts in zip(rows, self.rows, strict=True))
        self.rows = Rows(*joined)

    def after(self, vectors: Tensor, rows: Rows) -> tuple[Tensor, Rows]:
        """Return a batch followed by what is in the queue."""
        if self.vectors is None or self.rows is None:
            return vectors, rows
        joined = (torch.cat(parts) for parts in zip(rows, self.rows, strict=True))
        return torch.cat([vectors, self.vectors]), Rows(*joined)
