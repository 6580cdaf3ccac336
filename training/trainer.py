"""The training itself."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from training.batches import Alike, Batch, Material, draw_batch, match, photographs, pictograms
from training.clock import Budget, Clock
from training.losses import CosineHead, pair_loss
from training.network import Network
from training.optimiser import make_optimisers
from training.packs import Pack
from training.processes import Together
from training.recipe import Recipe
from training.state import Progress, load_state, save_state
from training.targets import build_targets
from training.watch import encode, hold_out, precision_at_1

STATE, LOG = "state.pt", "log.jsonl"
_LOG_EVERY = 20  # steps
_SAVE_EVERY = 120.0  # seconds
_LOOK_EVERY = 0.2  # of the training


class Data(NamedTuple):
    """All that is trained on, and the held-out photographs of the first pack that has the most classes."""

    photographs: Material
    pictograms: Material
    alike: Alike
    mixtures: Tensor
    watched: Tensor
    watched_labels: Tensor


def gather(packs: Sequence[Pack], recipe: Recipe) -> Data:
    """Bring packs into the form that training needs, and hold some photographs out."""
    targets = build_targets(packs)
    held = [hold_out(pack, recipe.held_out, recipe.seed) for pack in packs]
    most = max(range(len(packs)), key=lambda at: len(packs[at].names) if held[at].any() else 0)
    photos, drawings = photographs(packs, targets, [~chosen for chosen in held]), pictograms(packs, targets)
    return Data(
        photos,
        drawings,
        match(photos, drawings, targets),
        torch.from_numpy(targets.mixtures),
        torch.from_numpy(packs[most].pictures[held[most]]),
        torch.from_numpy(packs[most].labels[held[most]]),
    )


class Trainer:
    """One process's part in training a network.

    Parameters
    ----------
    recipe : Recipe
    data : Data
    out : Path
        Folder for state and log.
    together : Together
    device : torch.device
    """

    def __init__(
        self, recipe: Recipe, data: Data, out: Path, together: Together, device: torch.device
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.together, self.device = recipe, out, together, device
        self.data = Data(*(_moved(part, device) for part in data))
        self.network = Network(recipe.config).to(device)
        self.head = CosineHead(recipe.config.width, data.mixtures.shape[1], recipe.scale).to(device)
        self.optimisers = make_optimisers(self.network, self.head, recipe, together)
        self.parameters = [*self.network.parameters(), *self.head.parameters()]
        self.bf16 = device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))

    def run(self, budget: Budget) -> Progress:
        """Train from the last state to the end of the budget; return how far the training has come."""
        progress = load_state(self.out / STATE, self.network, self.head, self.optimisers)
        clock, saved = Clock(progress.seconds), time.monotonic()
        looked = budget.spent(progress.step, progress.seconds)
        window: deque[dict[str, float]] = deque(maxlen=_LOG_EVERY)
        while True:
            progress.seconds = clock.read()
            spent = self.together.agree(budget.spent(progress.step, progress.seconds))
            if self.together.rank == 0 and (spent >= 1 or spent - looked >= _LOOK_EVERY):
                looked = spent
                self.log(kind="look", step=progress.step, progress=spent, p1=self.look())
            if spent >= 1:
                break
            window.append(self.step(progress.step, spent))
            progress.step += 1
            progress.pictures += self.recipe.batch
            if progress.step % _LOG_EVERY == 0 and self.together.rank == 0:
                self.log(kind="step", progress=spent, **vars(progress), **means(window))
                window.clear()
            if self.together.rank == 0 and time.monotonic() - saved > _SAVE_EVERY:
                save_state(self.out / STATE, self.network, self.head, self.optimisers, progress)
                saved = time.monotonic()
        if self.together.rank == 0:
            save_state(self.out / STATE, self.network, self.head, self.optimisers, progress)
        return progress

    def step(self, number: int, spent: float) -> dict[str, float]:
        """Take step `number`; the chances of every step follow from the seed, its number and the rank."""
        recipe = self.recipe
        chance = torch.Generator(self.device)
        chance.manual_seed(
            int(np.random.SeedSequence((recipe.seed, number, self.together.rank)).generate_state(1)[0])
        )
        size, kept = recipe.stage_at(spent)
        count = recipe.batch // self.together.count
        photos, drawings, alike = self.data[:3]
        batch = draw_batch(photos, drawings, alike, count, size, recipe.share, chance)
        self.set_rate(recipe.rate_at(spent))
        with self.autocast():
            tokens = self.network(batch.pixels, kept, chance)
        values = self.learn(tokens, batch)
        return {**values, "size": size, "kept": kept, "rate": recipe.rate_at(spent)}

    def autocast(self) -> torch.autocast:
        """Compute in bfloat16 where that is faster."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def set_rate(self, share: float) -> None:
        """Give every learning rate this share of its peak, and forget gradients."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group.setdefault("peak", group["lr"]) * share
            optimiser.zero_grad()

    def learn(self, tokens: Tensor, batch: Batch) -> dict[str, float]:
        """Follow the gradient of the losses of a batch's final tokens; return what there is to log."""
        losses = self._losses(tokens, batch)
        losses["loss"].backward()
        self.together.average_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        values = {name: float(value.detach()) for name, value in losses.items()}
        return {**values, "norm": float(norm)}

    def _losses(self, tokens: Tensor, batch: Batch) -> dict[str, Tensor]:
        recipe, mixtures = self.recipe, self.data.mixtures[batch.labels]
        cls, patches = tokens[:, 0].float(), tokens[:, 1:].float()
        losses = {
            "cls": self.head(cls, mixtures, recipe.smoothing),
            "patch": self.head(patches.mean(dim=1), mixtures, recipe.smoothing),
            "pair": pair_loss(cls, batch.labels, batch.pairs, recipe.temperature),
        }
        losses["loss"] = (
            losses["cls"] + recipe.patch_weight * losses["patch"] + recipe.pair_weight * losses["pair"]
        )
        return losses

    def look(self) -> float:
        """Precision at 1 among the held-out photographs, at the size that the model is for."""
        size = self.recipe.config.image_size
        features = encode(self.network, self.data.watched, size, bf16=self.bf16)
        return precision_at_1(features, self.data.watched_labels)

    def log(self, **values: Any) -> None:
        """Add a line to the log."""
        with (self.out / LOG).open("a") as file:
            file.write(json.dumps(values) + "\n")


def _moved(part: Material | Alike | Tensor, device: torch.device) -> Any:
    if isinstance(part, Tensor):
        return part.to(device)
    return type(part)(*(tensor.to(device) for tensor in part))


def means(lines: Collection[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every value over some steps, four digits of it."""
    names = next(iter(lines))
    return {name: float(f"{np.mean([line[name] for line in lines]):.4g}") for name in names}
