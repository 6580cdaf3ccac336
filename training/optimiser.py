"""Muon for the blocks' matrices, AdamW for all else.

Muon [1]_ replaces a matrix's momentum by the nearest matrix with equal singular values, so that every
direction is learnt at the same pace; scaled as in [2]_, it takes AdamW's learning rate and weight decay.

References
----------
.. [1] Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
   https://kellerjordan.github.io/posts/muon/.
.. [2] Liu et al., "Muon is Scalable for LLM Training", arXiv:2502.16982.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.processes import Together
from training.recipe import Recipe

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that [1] iterates
_STEPS = 5
_BETAS = (0.9, 0.98)
_RMS = 0.2  # of AdamW's usual update [2]


class Muon(Optimizer):
    """Momentum with orthogonalised updates, for matrices.

    Parameters
    ----------
    parameters : iterable of Parameter
        Matrices; one that holds queries, keys and values is taken apart into three.
    lr, momentum, weight_decay : float
    together : Together
        Each process orthogonalises its share of the matrices.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float,
        weight_decay: float,
        together: Together,
    ) -> None:
        self._together = together
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; those of one shape together."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:  # a block that rests
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                update = parameter.grad.add(state["momentum"], alpha=group["momentum"])
                for piece, part in zip(_pieces(parameter), _pieces(update), strict=True):
                    alike.setdefault(tuple(piece.shape), []).append((piece, part))
            for shape, found in alike.items():
                updates = self._orthogonalised(torch.stack([part for _, part in found]))
                scale = _RMS * max(shape) ** 0.5
                for (piece, _), update in zip(found, updates, strict=True):
                    piece.mul_(1 - group["lr"] * group["weight_decay"])
                    piece.add_(update, alpha=-group["lr"] * scale)

    def _orthogonalised(self, matrices: Tensor) -> Tensor:
        mine = slice(self._together.rank, None, self._together.count)
        done = torch.zeros_like(matrices)
        if len(matrices[mine]):
            done[mine] = orthogonalise(matrices[mine])
        return self._together.sum(done)


def _pieces(matrix: Tensor) -> list[Tensor]:
    rows, columns = matrix.shape
    return list(matrix.split(columns)) if rows == 3 * columns else [matrix]


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring all singular values near 1 by Newton and Schulz's iteration, as tuned in [1]_.

    Parameters
    ----------
    matrices : Tensor, shape (n, rows, columns)

    Returns
    -------
    Tensor, shape (n, rows, columns)
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()  # its precision suffices [1]_, and it is faster
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def make_optimisers(
    network: nn.Module, head: nn.Module, recipe: Recipe, together: Together
) -> list[Optimizer]:
    """Give the blocks' matrices to Muon and the rest to AdamW, which decays only matrices."""
    hidden: list[Tensor] = []
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in network.named_parameters():
        kind = hidden if name.startswith("blocks.") and parameter.ndim == 2 else matrices
        (kind if parameter.ndim > 1 else others).append(parameter)
    groups = [
        {"params": matrices, "lr": recipe.lr, "weight_decay": recipe.weight_decay},
        {"params": others, "lr": recipe.lr, "weight_decay": 0.0},
        {"params": list(head.parameters()), "lr": recipe.head_lr, "weight_decay": 0.0},
    ]
    muon = Muon(hidden, recipe.lr, recipe.momentum, recipe.weight_decay, together)
    return [muon, torch.optim.AdamW(groups, betas=_BETAS, fused=True)]
