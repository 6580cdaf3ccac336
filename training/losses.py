"""What is to be small: all of it is about cosines, because cosines are what a search compares.

References
----------
.. [1] Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", arXiv:1704.06369.
.. [2] van den Oord et al., "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CosineHead(nn.Module):
    """Classifies by the cosine between a feature and a row for each class [1]_.

    Parameters
    ----------
    width, rows : int
    scale : float
        By which cosines are multiplied before the softmax.
    """

    def __init__(self, width: int, rows: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, width) * width**-0.5)
        self.scale = scale

    def forward(self, features: Tensor, mixtures: Tensor, smoothing: float) -> Tensor:
        """Compare with target mixtures, (B, rows); return the mean cross-entropy."""
        cosines = functional.normalize(features, dim=-1) @ functional.normalize(self.weight, dim=-1).T
        chances = functional.log_softmax(self.scale * cosines.float(), dim=-1)
        near = -(mixtures * chances).sum(dim=-1)
        return ((1 - smoothing) * near - smoothing * chances.mean(dim=-1)).mean()


def pair_loss(features: Tensor, labels: Tensor, pairs: int, temperature: float) -> Tensor:
    """InfoNCE [2]_: each of a pair must find the other among all pictures of other classes.

    Parameters
    ----------
    features : Tensor, shape (B, D)
        The last 2 * `pairs` of them are the pairs.
    labels : Tensor of int64, shape (B,)
        Another picture of the same class is no wrong answer and is left out.
    pairs : int
    temperature : float
    """
    unit = functional.normalize(features, dim=-1)
    start = len(unit) - 2 * pairs
    cosines = unit[start:] @ unit.T / temperature
    own = torch.arange(2 * pairs, device=unit.device)
    other = start + (own + pairs) % (2 * pairs)
    left_out = labels[start:, None] == labels[None, :]
    left_out[own, other] = False
    return functional.cross_entropy(cosines.float().masked_fill(left_out, -torch.inf), other)
