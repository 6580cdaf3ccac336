"""What is to be small.

References
----------
.. [1] Park et al., "Relational Knowledge Distillation", arXiv:1904.05068.
.. [2] Sablayrolles et al., "Spreading vectors for similarity search", arXiv:1806.03198.
.. [3] van den Oord et al., "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_NEVER = -1e4  # whose softmax is 0
_NEAREST = 1e-4


def relation(students: Tensor, targets: Tensor, left_out: Tensor, temperature: float) -> Tensor:
    """Compare how two sets of cosines rank other pictures [1]_: the mean divergence of their softmaxes.

    Parameters
    ----------
    students, targets : Tensor, shape (n, m)
        Cosines of n pictures with m.
    left_out : Tensor of bool, shape (n, m)
        Pairs that do not count. A picture's cosine with itself, or with another view of it, is so large that
        its softmax would leave nothing for the others, whose order is what is taught.
    temperature : float
    """
    wanted = (targets / temperature).masked_fill(left_out, _NEVER).softmax(dim=1)
    found = (students / temperature).masked_fill(left_out, _NEVER).log_softmax(dim=1)
    return functional.kl_div(found, wanted, reduction="batchmean")


def instance(students: Tensor, itself: Tensor, twins: Tensor, temperature: float) -> Tensor:
    """InfoNCE [3]_: each view must find the other view of its picture among all others.

    Parameters
    ----------
    students : Tensor, shape (n, m)
        Cosines of n views with m.
    itself : Tensor of bool, shape (n, m)
        Where a view meets itself.
    twins : Tensor of int64, shape (n,)
        The column of the other view.
    temperature : float
    """
    return functional.cross_entropy((students / temperature).masked_fill(itself, _NEVER), twins)


def cosine_distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean of 1 - cosine between the last axes."""
    return (1 - functional.cosine_similarity(found, wanted, dim=-1)).mean()


def spread(units: Tensor) -> Tensor:
    """Be large where pictures crowd: the negative mean logarithm of the distance to the nearest [2]_.

    Parameters
    ----------
    units : Tensor, shape (n, D)
        Of length 1, one for each picture.
    """
    cosines = units @ units.T - 2 * torch.eye(len(units), device=units.device)
    return -(2 - 2 * cosines.amax(dim=1)).clamp(min=_NEAREST).log().mean()


def resized_cells(cells: Tensor, grid: int) -> Tensor:
    """Bring a teacher's map, (n, C, h, w), to the student's patches: (n, grid * grid, C)."""
    if cells.shape[2:] != (grid, grid):
        cells = functional.interpolate(cells, size=(grid, grid), mode="bilinear", align_corners=False)
    return cells.flatten(2).transpose(1, 2)
