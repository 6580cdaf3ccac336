"""What is learnt: the network, its averaged weights, and the two linear maps that are dropped in the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.losses import cosine_distance, instance, relation, resized_cells, spread
from training.network import Network
from training.recipe import Recipe
from training.targets import PHOTOGRAPH, Queue, Rows, target_cosines

_BETAS = (0.9, 0.98)
_POOLED_RIDGE, _CELLS_RIDGE = 0.3, 0.03


class Student(nn.Module):
    """A network on its way.

    Parameters
    ----------
    recipe : Recipe
    channels : int
        Of the teacher's map.
    """

    def __init__(self, recipe: Recipe, channels: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = Network(recipe.config)
        self.network.freeze(recipe.frozen)
        width = recipe.config.width
        self.to_pooled, self.to_cells = nn.Linear(width, channels), nn.Linear(width, channels)

    def optimiser(self) -> torch.optim.AdamW:
        """Return AdamW, which decays matrices alone; every group's ``peak`` is its highest rate."""
        learnt = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        heads = [*self.to_pooled.parameters(), *self.to_cells.parameters()]
        recipe = self.recipe
        groups: list[dict[str, Any]] = [
            {
                "params": [p for p in learnt if p.ndim > 1],
                "lr": recipe.lr,
                "weight_decay": recipe.weight_decay,
            },
            {"params": [p for p in learnt if p.ndim == 1], "lr": recipe.lr, "weight_decay": 0.0},
            {"params": heads, "lr": recipe.head_lr, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([{**group, "peak": group["lr"]} for group in groups], betas=_BETAS)

    def losses(
        self, tokens: Tensor, rows: Rows, cells: Tensor, queue: Queue, chance: torch.Generator
    ) -> dict[str, Tensor]:
        """Compare a batch's tokens with what the teacher says.

        Parameters
        ----------
        tokens : Tensor, shape (2 n, 1 + N, D)
            Of all first views, then of all second ones.
        rows : Rows
            Of the n pictures.
        cells : Tensor, shape (n, C, h, w)
            The teacher's map, centred.
        queue : Queue
        chance : torch.Generator
            Chooses the patches that are compared with each other.

        Returns
        -------
        dict of str to Tensor
            By the names of `recipe.Weights`, and their weighted sum, ``loss``.
        """
        recipe, count = self.recipe, len(cells)
        cls, patches = tokens[:, 0], tokens[:count, 1:]
        units, seen = functional.normalize(cls, dim=1), rows.twice()
        vectors, keys = queue.after(units, seen)
        cosines, taught = units @ vectors.T, target_cosines(seen, keys)
        photographs = int((rows.pictograms == PHOTOGRAPH).sum())
        itself, twins = torch.eye(*cosines.shape, dtype=torch.bool), torch.arange(2 * count).roll(count)
        photograph = seen.pictograms == PHOTOGRAPH
        left_out = itself.clone()
        left_out[photograph, twins[photograph]] = True
        pooled = self.to_pooled(cls).view(2, count, -1)[:, :photographs]
        wanted = resized_cells(cells, round(patches.shape[1] ** 0.5))
        chosen = torch.randint(0, count * patches.shape[1], (recipe.compared,), generator=chance)
        found = {
            "relation": relation(cosines, taught, left_out, recipe.temperature),
            "instance": instance(
                cosines[photograph], itself[photograph], twins[photograph], recipe.temperature
            ),
            "pooled": cosine_distance(pooled, cells.mean(dim=(2, 3))[:photographs]),
            "patches": cosine_distance(self.to_cells(patches), wanted),
            "patch_relation": self.patch_relation(patches, wanted, chosen),
            "spread": spread(units[:count]),
        }
        found["loss"] = torch.stack([vars(recipe.weights)[name] * loss for name, loss in found.items()]).sum()
        return found

    def patch_relation(self, patches: Tensor, wanted: Tensor, chosen: Tensor) -> Tensor:
        """Compare the cosines between a few patches of a batch with those of the teacher's cells."""
        found, taught = (
            functional.normalize(part.reshape(-1, part.shape[-1])[chosen], dim=1)
            for part in (patches, wanted)
        )
        itself = torch.eye(len(chosen), dtype=torch.bool)
        return relation(found @ found.T, taught @ taught.T, itself, self.recipe.temperature)

    @torch.no_grad()
    def fit_maps(self, tokens: Tensor, cells: Tensor) -> None:
        """Begin the linear maps with the solutions of ridge regressions.

        Random ones would send gradients into the network that spoil what it knows before they have learnt.

        Parameters
        ----------
        tokens : Tensor, shape (n, 1 + N, D)
            Of photographs.
        cells : Tensor, shape (n, C, h, w)
            The teacher's map of them, centred.
        """
        wanted = resized_cells(cells, round((tokens.shape[1] - 1) ** 0.5))
        fit_ridge(self.to_pooled, tokens[:, 0], cells.mean(dim=(2, 3)), _POOLED_RIDGE)
        fit_ridge(self.to_cells, tokens[:, 1:].flatten(0, 1), wanted.flatten(0, 1), _CELLS_RIDGE)


def fit_ridge(into: nn.Linear, inputs: Tensor, outputs: Tensor, ridge: float) -> None:
    """Solve a ridge regression, whose penalty is in units of the inputs' mean square, into a linear map."""
    mean, target = inputs.mean(dim=0), outputs.mean(dim=0)
    centred = inputs - mean
    gram = centred.T @ centred
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram))
    solved = torch.linalg.solve(gram, centred.T @ (outputs - target))
    into.weight.copy_(solved.T)
    into.bias.copy_(target - mean @ solved)


def average(into: dict[str, Tensor], network: Network, kept: float) -> None:
    """Move averaged weights towards a network's, of which `kept` is left."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            into[name].lerp_(value, 1 - kept)
