"""Several processes that train one network: each sees its own part of a batch, gradients are averaged.

On a few shared cores this wastes less than threads in one process, which wait for each other in every
product; here they do so once a step.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

_PATIENCE = datetime.timedelta(hours=12)  # the whole group may be stopped, and goes on later


class Together:
    """A process's place among `count`; with one, nothing is exchanged.

    Parameters
    ----------
    rank, count : int
    meeting : Path
        A file by which the processes find each other; it must not be there yet.
    """

    def __init__(self, rank: int, count: int, meeting: Path) -> None:
        self.rank, self.count = rank, count
        if count > 1:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            dist.init_process_group(
                "gloo", init_method=meeting.as_uri(), rank=rank, world_size=count, timeout=_PATIENCE
            )

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make all processes' gradients their mean."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, flat.split([part.numel() for part in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def sum(self, tensor: Tensor) -> Tensor:
        """Add all processes' tensors, in place."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, value: float) -> float:
        """Return the first process's value in all."""
        if self.count == 1:
            return value
        said = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(said, 0)
        return float(said)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give the first process's numbers to all."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor.data, 0)

    def close(self) -> None:
        """Part."""
        if self.count > 1:
            dist.destroy_process_group()
