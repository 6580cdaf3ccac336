"""The last blocks go on alone: the others' output is computed once and kept.

Where processors are few this is what still moves: a step costs a sixth of a whole one, so each picture can be
seen many times more. What is lost is that a picture is always seen in one view, of which only the patches
vary that are left out.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.training.augment import PHOTOGRAPH, PICTOGRAM, Views, make_views
from model.training.batches import Batch, Material, draw_renderings, parts_of
from model.training.clock import Budget, Clock
from model.training.network import leave_out
from model.training.trainer import Trainer, means

FINISHED = "finished.pt"
_CHUNK = 64
_LOG_EVERY = 50
_LOOK_EVERY = 0.25


class Finish(NamedTuple):
    """How the last blocks go on.

    Attributes
    ----------
    budget : Budget
        Without what the cache takes.
    photographs : int
        How many are kept, over all processes; of the pictograms, all.
    blocks : int
        How many blocks learn.
    kept : float
        Share of the patches looked at in a step.
    rate : float
        Share of the learning rates' peaks to begin with; it falls to zero.
    """

    budget: Budget
    photographs: int = 20_000
    blocks: int = 2
    kept: float = 0.6
    rate: float = 0.8


class Cache(NamedTuple):
    """One process's share of the pictures, as tokens (n, N, D) before the blocks that learn."""

    photographs: Material
    pictograms: Material


def finish_blocks(trainer: Trainer, finish: Finish) -> None:
    """Train the last blocks, the last LayerNorm and the table of classes."""
    for name, parameter in trainer.network.named_parameters():
        parameter.requires_grad_(_learns(name, trainer.recipe.config.depth - finish.blocks))
    chance = torch.Generator(trainer.device).manual_seed(_seed(trainer, 0))
    cache = fill_cache(trainer, finish, chance)
    clock, step, looked = Clock(), 0, 0.0
    window: deque[dict[str, float]] = deque(maxlen=_LOG_EVERY)
    while True:
        seconds = clock.read()
        spent = trainer.together.agree(finish.budget.spent(step, seconds))
        if trainer.together.rank == 0 and (spent >= 1 or spent - looked >= _LOOK_EVERY):
            looked = spent
            trainer.log(kind="finish look", step=step, progress=spent, p1=trainer.look())
        if spent >= 1:
            return
        step += 1
        trainer.set_rate(finish.rate * (1 - spent))
        batch = draw_cached(cache, trainer.recipe.batch // trainer.together.count, trainer, chance)
        with trainer.autocast():
            few = leave_out(batch.pixels[:, 1:], finish.kept, chance)
            tokens = torch.cat([batch.pixels[:, :1], few], dim=1)
            tokens = trainer.network.norm(trainer.network.through(tokens, -finish.blocks))
        window.append(trainer.learn(tokens, batch))
        if trainer.together.rank == 0 and step % _LOG_EVERY == 0:
            trainer.log(kind="finish", step=step, progress=spent, seconds=seconds, **means(window))


def fill_cache(trainer: Trainer, finish: Finish, chance: torch.Generator) -> Cache:
    """Choose this process's pictures and take them through the blocks that rest."""
    photos, drawings = trainer.data.photographs, trainer.data.pictograms
    rank, count = trainer.together.rank, trainer.together.count
    wanted = min(finish.photographs // count, len(photos.labels) // count)
    chances = photos.weights.float()
    chosen = chances.multinomial(wanted, replacement=False, generator=chance)
    lines = slice(rank, None, count)  # whole pictograms, so that their renderings stay together
    members = drawings.members[lines]
    numbers = members.unique()
    place = torch.full((len(drawings.labels),), -1, device=trainer.device)
    place[numbers] = torch.arange(len(numbers), device=trainer.device)
    return Cache(
        Material(
            _tokens(trainer, photos.pictures[chosen], PHOTOGRAPH, finish, chance),
            photos.labels[chosen],
            torch.ones(wanted, device=trainer.device),
            photos.members,
            photos.counts,
        ),
        Material(
            _tokens(trainer, drawings.pictures[numbers], PICTOGRAM, finish, chance),
            drawings.labels[numbers],
            drawings.weights[lines],
            place[members],
            drawings.counts[lines],
        ),
    )


def draw_cached(cache: Cache, count: int, trainer: Trainer, chance: torch.Generator) -> Batch:
    """Draw a batch as `draw_batch` does, of tokens; a photograph's second view is the same once more."""
    alone, twice, drawn = parts_of(count, trainer.recipe.share)
    photos, drawings = cache
    chosen = torch.randint(len(photos.labels), (alone + twice,), generator=chance, device=trainer.device)
    first, second = draw_renderings(drawings, drawn, chance)
    again = chosen[alone:]
    pixels = [
        photos.pictures[chosen],
        drawings.pictures[first],
        photos.pictures[again],
        drawings.pictures[second],
    ]
    labels = [photos.labels[chosen], drawings.labels[first], photos.labels[again], drawings.labels[second]]
    return Batch(torch.cat(pixels), torch.cat(labels), twice + drawn)


@torch.no_grad()
def _tokens(
    trainer: Trainer, pictures: Tensor, views: Views, finish: Finish, chance: torch.Generator
) -> Tensor:
    found, size = [], trainer.recipe.config.image_size
    for part in pictures.split(_CHUNK):
        with trainer.autocast():
            x = trainer.network.embed(make_views(part, size, views, chance))
            found.append(trainer.network.through(x, 0, -finish.blocks).bfloat16())
    return torch.cat(found)


def _learns(name: str, first: int) -> bool:
    block = int(name.split(".")[1]) if name.startswith("blocks.") else -1
    return block >= first or name.startswith("norm.")


def _seed(trainer: Trainer, number: int) -> int:
    entropy = (trainer.recipe.seed, trainer.together.rank, number)
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])
