"""From stored pictures to the network's input, changed by chance: one affine map and one colour map each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.preprocess import MEAN, STD


@dataclass(frozen=True)
class Views:
    """How far a view may stray from its picture.

    Attributes
    ----------
    area : (float, float)
        Smallest and largest share of the picture's area that is seen; beyond 1 there is a white margin.
    aspect : float
        How many times as wide as high the piece seen may be, and the other way round.
    turn : float
        Largest rotation in degrees.
    flip : bool
        Whether every other view is mirrored.
    brightness : (float, float)
        Factors.
    colour : float
        How far contrast and saturation may go from 1.
    """

    area: tuple[float, float]
    aspect: float = 4 / 3
    turn: float = 0.0
    flip: bool = True
    brightness: tuple[float, float] = (0.6, 1.3)
    colour: float = 0.3


PHOTOGRAPH = Views(area=(0.4, 1.0), turn=5.0)
CLOSE = Views(area=(0.3, 0.7), aspect=1.1, brightness=(0.4, 1.2))
PICTOGRAM = Views(area=(0.65, 2.0), aspect=1.15, turn=8.0, flip=False, brightness=(0.7, 1.1), colour=0.25)


def make_views(pictures: Tensor, size: int, views: Views, chance: torch.Generator) -> Tensor:
    """Cut, turn, mirror, scale and colour pictures, each in its own way.

    Parameters
    ----------
    pictures : Tensor of uint8, shape (B, S, S, 3)
    size : int
        Side in pixels of what comes out.
    views : Views
    chance : torch.Generator
        On the pictures' device.

    Returns
    -------
    Tensor of float32, shape (B, 3, size, size)
        Normalised as `model.preprocess` does it. What lies outside of a picture is white.
    """
    B = len(pictures)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(B, generator=chance, device=pictures.device)

    margin = pictures.permute(0, 3, 1, 2).float() / 255 - 1  # white is 0, which is what lies outside
    grid = functional.affine_grid(_maps(uniform, views), [B, 3, size, size], align_corners=False)
    seen = (
        functional.grid_sample(margin, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + 1
    )
    grey = seen.mean(dim=1, keepdim=True)
    seen = grey + (seen - grey) * uniform(1 - views.colour, 1 + views.colour).view(-1, 1, 1, 1)
    middle = grey.mean(dim=(2, 3), keepdim=True)
    seen = middle + (seen - middle) * uniform(1 - views.colour, 1 + views.colour).view(-1, 1, 1, 1)
    seen = (seen * uniform(*views.brightness).view(-1, 1, 1, 1)).clamp(0, 1)
    return normalise(seen)


def normalise(pixels: Tensor) -> Tensor:
    """Normalise pixels in [0, 1], (B, 3, H, W), by ImageNet's mean and standard deviation."""
    mean = torch.tensor(MEAN, device=pixels.device).view(3, 1, 1)
    return (pixels - mean) / torch.tensor(STD, device=pixels.device).view(3, 1, 1)


def _maps(uniform: Callable[[float, float], Tensor], views: Views) -> Tensor:
    """Draw the affine maps from output to input coordinates, (B, 2, 3)."""
    root = uniform(*views.area).sqrt()
    stretch = torch.exp(uniform(-0.5, 0.5) * math.log(views.aspect))
    half = torch.stack([root * stretch, root / stretch], dim=1)
    if views.area[1] <= 1:
        half = half.clamp(max=1.0)  # an elongated piece must not stick out
    centre = torch.stack([uniform(-1, 1), uniform(-1, 1)], dim=1) * (1 - half).abs()
    angle = uniform(-1, 1) * math.radians(views.turn)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if views.flip else torch.ones_like(angle)
    cos, sin = angle.cos(), angle.sin()
    rows = [cos * half[:, 0] * mirror, -sin * half[:, 0], centre[:, 0]]
    rows += [sin * half[:, 1] * mirror, cos * half[:, 1], centre[:, 1]]
    return torch.stack(rows, dim=1).view(-1, 2, 3)
