"""The recipe: every number that decides what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from model.config import ViTConfig
from training.batches import Share

COMPACT = ViTConfig(width=192, depth=12, heads=3, hidden=768, mlp="gelu", patch=14, grid=7)
SHARE = Share()


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how.

    Attributes
    ----------
    config : ViTConfig
    resize : int
        Length that the exported model's preprocessing gives the shorter side; the crop is the config's own.
    stages : tuple of (float, int, float)
        From which share of the training on, pictures of which side are seen, and what share of their
        patches.
    batch : int
        Pictures in a step, over all processes.
    share : Share
    lr, head_lr : float
        At their peak, for the network and for the table of classes.
    warmup : float
        Share of the training during which the rates rise; then they fall to zero in a straight line.
    weight_decay, momentum : float
    scale, smoothing : float
        Of the cosine softmax.
    patch_weight : float
        Of the loss that the patches' mean is classified by; it makes single patches mean something.
    pair_weight, temperature : float
        Of the loss that brings pairs together.
    clip : float
        Longest gradient.
    held_out : int
        Photographs of each class that are kept from training, to watch it.
    seed : int
    """

    config: ViTConfig = COMPACT
    resize: int = 98
    stages: tuple[tuple[float, int, float], ...] = ((0.0, 70, 1.0), (0.75, 98, 1.0))
    batch: int = 384
    share: Share = SHARE
    lr: float = 1e-3
    head_lr: float = 2e-3
    warmup: float = 0.03
    weight_decay: float = 0.05
    momentum: float = 0.9
    scale: float = 16.0
    smoothing: float = 0.05
    patch_weight: float = 0.2
    pair_weight: float = 0.4
    temperature: float = 0.1
    clip: float = 5.0
    held_out: int = 5
    seed: int = 5

    def stage_at(self, progress: float) -> tuple[int, float]:
        """Side in pixels and share of patches seen when this share of the training is done."""
        return [(size, kept) for start, size, kept in self.stages if start <= progress][-1]

    def rate_at(self, progress: float) -> float:
        """Share of the peak learning rate."""
        return min(progress / self.warmup, (1 - progress) / (1 - self.warmup)) if progress < 1 else 0.0
