"""The recipe: every number that decides what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from model.config import ViTConfig

SMALL = ViTConfig(width=384, depth=12, heads=6, hidden=1536, mlp="gelu", patch=14, grid=7)


class Size(NamedTuple):
    """What a step looks like at one size.

    Attributes
    ----------
    side : int
        Of the pictures, in pixels.
    photographs, pictograms : int
        In a batch; each is seen twice.
    chance : float
        How often a step is of this size.
    """

    side: int
    photographs: int
    pictograms: int
    chance: float


@dataclass(frozen=True)
class Weights:
    """How much each loss counts; `training.losses` says what they are."""

    relation: float = 1.0
    instance: float = 0.1
    pooled: float = 0.6
    patches: float = 0.5
    patch_relation: float = 0.2
    spread: float = 0.01


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how.

    Attributes
    ----------
    config : ViTConfig
    frozen : int
        Blocks that keep their weights, counted from the first; with them, the patch embedding does.
    sizes : tuple of Size
    lr, head_lr : float
        At their peak, for the network and for the linear maps to the teacher's channels.
    warmup : int
        Steps in which the rates rise; over the whole budget they fall to zero in a straight line.
    weight_decay, clip : float
    temperature : float
        By which cosines are divided before they are compared.
    queue : int
        Earlier pictures that a batch is compared with.
    compared : int
        Patches of a batch that are compared with each other.
    averaged : float
        How much of the averaged weights stays at each step.
    centring : int
        Photographs that the teacher's mean and the first linear maps are computed from.
    weights : Weights
    shares : dict of str to float
        How often a photograph of a pack is drawn, relative to those of other packs; 1 where it is not given.
    seed : int
    """

    config: ViTConfig = SMALL
    frozen: int = 6
    sizes: tuple[Size, ...] = (Size(70, 18, 5, 0.45), Size(98, 12, 3, 0.52), Size(126, 8, 2, 0.03))
    lr: float = 7e-5
    head_lr: float = 3e-4
    warmup: int = 25
    weight_decay: float = 0.02
    clip: float = 5.0
    temperature: float = 0.1
    queue: int = 4096
    compared: int = 300
    averaged: float = 0.985
    centring: int = 448
    weights: Weights = Weights()
    shares: dict[str, float] = field(
        default_factory=lambda: {
            "hcaptcha": 0.4, "landscape-photos": 0.4, "mosaic-photos": 0.5, "sysu-scene": 0.7,
            "tinyimagenet-train": 0.4,
        }
    )  # fmt: skip
    seed: int = 5

    def rate_at(self, step: int, spent: float) -> float:
        """Share of the peak rates at a step, when this share of the budget is spent."""
        return max(0.0, min((step + 1) / self.warmup, 1.0) * (1 - spent))
