"""How well held-out photographs find their class, while training goes on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.augment import normalise
from training.packs import Pack

_CHUNK = 256


def hold_out(pack: Pack, count: int, seed: int) -> NDArray[np.bool_]:
    """Choose `count` pictures of each class, which are not to be trained on.

    Returns
    -------
    ndarray of bool, shape (pictures,)
        True for those held out; none of a pack of pictograms.
    """
    chosen = np.zeros(len(pack.labels), bool)
    if pack.kind == "photographs":
        rng = np.random.default_rng(seed)
        for label in range(len(pack.names)):
            own = np.flatnonzero(pack.labels == label)
            chosen[rng.permutation(own)[: min(count, len(own) // 2)]] = True
    return chosen


@torch.no_grad()
def encode(network: nn.Module, pictures: Tensor, size: int, *, bf16: bool) -> Tensor:
    """Encode whole pictures, uint8 (n, S, S, 3), at a size: CLS features, (n, D)."""
    found = []
    for part in pictures.split(_CHUNK):
        pixels = part.permute(0, 3, 1, 2).float() / 255
        pixels = functional.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bf16):
            features = network(normalise(pixels))[:, 0]
        found.append(features.float())
    return torch.cat(found)


def precision_at_1(features: Tensor, labels: Tensor) -> float:
    """Share of pictures whose nearest other picture is of their class."""
    unit = functional.normalize(features, dim=-1)
    cosines = unit @ unit.T
    cosines.fill_diagonal_(-2)
    return float((labels[cosines.argmax(dim=1)] == labels).double().mean())
