"""Batches: photographs and pictograms, each as the teacher sees it and in two views for the student."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.preprocess import MEAN, STD
from training.packs import Photographs
from training.pictograms import Pictograms
from training.recipe import Size
from training.views import CLEAN, Pixels, clean, drawing, first_view, second_view


class Batch(NamedTuple):
    """What one step sees: photographs first, then pictograms.

    Attributes
    ----------
    clean : ndarray of uint8, shape (n, S, S, 3)
        For the teacher.
    views : Tensor of float32, shape (2 n, 3, side, side)
        For the student, normalised: all first views, then all second ones.
    labels : ndarray of int64, shape (photographs,)
        ImageNet's classes, or `packs.UNLABELLED`.
    pictograms : ndarray of int64, shape (pictograms,)
        Which ones, by their number in `Pictograms.codes`.
    """

    clean: Pixels
    views: Tensor
    labels: NDArray[np.int64]
    pictograms: NDArray[np.int64]


def draw_batch(
    photographs: Photographs, pictograms: Pictograms, size: Size, chance: np.random.Generator
) -> Batch:
    """Draw a batch of one size."""
    squares: list[Pixels] = []
    first: list[Pixels] = []
    second: list[Pixels] = []
    labels, numbers = [], []
    for _ in range(size.photographs):
        picture, label = photographs.draw(chance)
        square = clean(picture, chance)
        squares.append(np.asarray(square))
        first.append(first_view(square, size.side, chance))
        second.append(second_view(square, size.side, chance))
        labels.append(label)
    for _ in range(size.pictograms):
        number, one, other = pictograms.draw(chance)
        square = drawing(one, CLEAN, chance)
        squares.append(np.asarray(square))
        first.append(np.asarray(square.resize((size.side, size.side))))
        second.append(np.asarray(drawing(other, size.side, chance)))
        numbers.append(number)
    views = normalise(np.stack(first + second))
    return Batch(np.stack(squares), views, np.array(labels, np.int64), np.array(numbers, np.int64))


def normalise(pixels: Pixels) -> Tensor:
    """Make the network's input, (n, 3, H, W), of pictures, (n, H, W, 3), as `model.preprocess` does."""
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
