"""Begin with the weights of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from model.checkpoints.weights import open_weights
from model.errors import CheckpointError
from training.losses import CosineHead
from training.network import Network
from training.trainer import Data
from training.watch import encode

FEW = 8


def warm_start(network: Network, path: Path) -> None:
    """Load the parameters of a checkpoint of the network's shape, in any format and layout.

    Raises
    ------
    CheckpointError
        It is of another shape.
    """
    with open_weights(path) as weights:
        if weights.config != network.config:
            raise CheckpointError(f"{path} is {weights.config}, and {network.config} is to be trained.")
        network.load_state_dict(
            {name: torch.from_numpy(weights.read(name)) for name in weights.config.shapes()}
        )


@torch.no_grad()
def centre(network: Network, head: CosineHead, data: Data, size: int, *, bf16: bool) -> None:
    """Move the features' mean to the origin, and begin every row of the class table at its class's mean.

    Cosines between features that all lean one way are all near 1; the last LayerNorm's bias takes that out.

    Parameters
    ----------
    network, head, data
        As `Trainer` has them.
    size : int
        Side in pixels at which a few pictures of every class are encoded.
    bf16 : bool
    """
    features, labels = [], []
    for material in (data.photographs, data.pictograms):
        few = _few_of_each(material.labels)
        features.append(encode(network, material.pictures[few], size, bf16=bf16))
        labels.append(material.labels[few])
    found = torch.cat(features)
    mean = torch.stack([part.mean(dim=0) for part in features]).mean(dim=0)
    network.norm.bias.sub_(mean)
    rows = data.mixtures[torch.cat(labels)].T @ functional.normalize(found - mean, dim=-1)
    seen = rows.norm(dim=-1) > 0
    head.weight[seen] = functional.normalize(rows[seen], dim=-1)


def _few_of_each(labels: Tensor) -> Tensor:
    order = labels.argsort(stable=True)
    ordered = labels[order]
    starts = torch.searchsorted(ordered, ordered)  # where each picture's class begins
    place = torch.arange(len(labels), device=labels.device) - starts
    return order[place < FEW]
