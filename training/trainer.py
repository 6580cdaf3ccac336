"""The training itself."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from training.batches import draw_batch, normalise
from training.clock import Budget, Clock
from training.concepts import Concepts
from training.network import begin_with
from training.packs import Photographs
from training.pictograms import Pictograms
from training.recipe import Recipe, Size
from training.state import Memory, Progress, load_state, save_state
from training.student import Student, average
from training.targets import Queue, rows_of
from training.teacher import Teacher
from training.views import clean, first_view

STATE, LOG = "state.pt", "log.jsonl"
_LOG_EVERY = 10  # steps
_SAVE_EVERY = 240.0  # seconds
_AT_ONCE = 32
_EARLY = 10  # steps after which averaged weights have forgotten half of the first ones


class Material(NamedTuple):
    """What is trained on, and who teaches."""

    photographs: Photographs
    pictograms: Pictograms
    teacher: Teacher


class Trainer:
    """Trains a network, beginning with a state, a checkpoint or random weights.

    Parameters
    ----------
    recipe : Recipe
    material : Material
    out : Path
        Folder for state and log.
    init : Path, optional
        Checkpoint to begin with, where `out` has no state.
    """

    def __init__(self, recipe: Recipe, material: Material, out: Path, init: Path | None = None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.material, self.out = recipe, material, out
        self.concepts = Concepts(material.pictograms.codes)
        self.student = Student(recipe, material.teacher.channels)
        self.optimiser = self.student.optimiser()
        resumed = (out / STATE).exists()
        if init is not None and not resumed:
            begin_with(self.student.network, init)
        weights = {name: value.clone() for name, value in self.student.network.state_dict().items()}
        self.memory = Memory(weights, torch.empty(0), Queue(recipe.queue), Progress())
        if resumed:
            load_state(out / STATE, self.student, self.optimiser, self.memory)
        else:
            self.begin()

    def run(self, budget: Budget) -> Progress:
        """Train to the end of the budget; return how far the training has come."""
        progress = self.memory.progress
        clock, saved = Clock(progress.seconds), time.monotonic()
        window: deque[dict[str, float]] = deque(maxlen=_LOG_EVERY)
        while (spent := budget.spent(progress.step, progress.seconds)) < 1:
            window.append(self.step(spent))
            progress.seconds = clock.read()
            if progress.step % _LOG_EVERY == 0:
                self.log(progress=spent, **vars(progress), **means(window))
                window.clear()
            if time.monotonic() - saved > _SAVE_EVERY:
                self.save()
                saved = time.monotonic()
        self.save()
        return progress

    def step(self, spent: float) -> dict[str, float]:
        """Take one step; its chances follow from the seed and its number."""
        progress = self.memory.progress
        seeds = np.random.SeedSequence((self.recipe.seed, progress.step))
        chance, patches = np.random.default_rng(seeds), torch.Generator()
        patches.manual_seed(int(seeds.generate_state(1)[0]))
        size = self.draw_size(chance)
        batch = draw_batch(self.material.photographs, self.material.pictograms, size, chance)
        lesson = self.material.teacher(batch.clean)
        rows = rows_of(batch, lesson, self.memory.mean, self.concepts, progress.pictures)
        self.set_rate(spent)
        tokens = self.student.network(batch.views)
        cells = lesson.map - self.memory.mean.view(1, -1, 1, 1)
        values = self.learn(self.student.losses(tokens, rows, cells, self.memory.queue, patches))
        count = len(batch.clean)
        self.memory.queue.add(nn.functional.normalize(tokens[:count, 0].detach(), dim=1), rows)
        progress.step += 1
        progress.pictures += count
        progress.views += len(batch.views)
        average(self.memory.averaged, self.student.network, self.kept(progress.step))
        return {**values, "side": size.side}

    def learn(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """Follow the gradient of the losses' sum; return what there is to log."""
        losses["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.student.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        values = {name: float(value.detach()) for name, value in losses.items()}
        return {**values, "norm": float(norm)}

    def draw_size(self, chance: np.random.Generator) -> Size:
        """Choose what a step looks like."""
        sizes = self.recipe.sizes
        return sizes[int(chance.choice(len(sizes), p=[size.chance for size in sizes]))]

    def set_rate(self, spent: float) -> None:
        """Give every learning rate its share of its peak, and forget gradients."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * self.recipe.rate_at(self.memory.progress.step, spent)
        self.optimiser.zero_grad()

    def kept(self, step: int) -> float:
        """How much of the averaged weights stays: less in the beginning, when they are far from good."""
        return min(self.recipe.averaged, (1 + step) / (_EARLY + step))

    def begin(self) -> None:
        """Take the mean of the teacher's features over a few photographs, and fit the linear maps to them."""
        chance, recipe = np.random.default_rng(self.recipe.seed), self.recipe
        maps, tokens = [], []
        for start in range(0, recipe.centring, _AT_ONCE):
            count = min(_AT_ONCE, recipe.centring - start)
            drawn = [self.material.photographs.draw(chance).picture for _ in range(count)]
            squares = [clean(picture, chance) for picture in drawn]
            views = [first_view(square, recipe.config.image_size, chance) for square in squares]
            maps.append(self.material.teacher(np.stack([np.asarray(square) for square in squares])).map)
            with torch.no_grad():
                tokens.append(self.student.network(normalise(np.stack(views))))
        found = torch.cat(maps)
        self.memory.mean = found.mean(dim=(0, 2, 3))
        self.student.fit_maps(torch.cat(tokens), found - self.memory.mean.view(1, -1, 1, 1))

    def save(self) -> None:
        """Write the state."""
        save_state(self.out / STATE, self.student, self.optimiser, self.memory)

    def log(self, **values: Any) -> None:
        """Add a line to the log."""
        with (self.out / LOG).open("a") as file:
            file.write(json.dumps(values) + "\n")


def means(lines: Collection[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every value over some steps, four digits of it."""
    names = next(iter(lines))
    return {name: float(f"{np.mean([line[name] for line in lines]):.4g}") for name in names}
