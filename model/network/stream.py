"""The residual stream: the tokens that every layer reads and adds to.

`model.network.vit` sends it through the blocks; the layers come from `model.network.layers`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.network.buffers import Buffers
from model.network.functional import BLOCK, Array, layer_norm
from model.network.layers import Layer
from model.network.threads import Team, shares


class ResidualStream:
    """Tokens to which one layer after the other adds.

    A layer reads each token's LayerNorm with a one appended: a linear map's bias is then one more row of its
    matrix, and adding it takes no separate pass through memory.

    Parameters
    ----------
    x : ndarray of float32, shape (B, N, D)
        C-contiguous; overwritten.
    eps : float
        Epsilon of the LayerNorms.
    team : Team
        The threads that share the work.
    buffers : sequence of Buffers
        One for each thread.
    """

    def __init__(self, x: Array, eps: float, team: Team, buffers: Sequence[Buffers]) -> None:
        self._x = x
        self._eps = eps
        self._team = team
        self._buffers = buffers
        self._terms: list[Array] = []
        self._bias: Array | None = None

    def defer_add(self, layer: Layer, tokens: int | None = None) -> None:
        """Compute what a layer adds to the tokens, ``x = x + layer(norm(x))``, and leave the sum for later.

        Each thread's part of the output stays in a buffer until `normalised` adds them all. The sum and the
        LayerNorm after it then take a single pass through memory.

        Parameters
        ----------
        layer : Layer
            With LayerNorm's weight and bias, and LayerScale's gamma, folded into it.
        tokens : int, optional
            Keep only this many leading tokens of each picture; the layer still reads all of them.
        """
        normalised = self.normalised()
        if tokens is not None:
            self._x = np.ascontiguousarray(self._x[:, :tokens])
        parts = [part for part in shares(layer.units, self._team.size) if part.start < part.stop]
        self._terms = [self._buffers[rank].take("terms", *self._x.shape) for rank in range(len(parts))]
        self._bias = layer.bias

        def compute(rank: int) -> None:
            if rank < len(parts):
                layer.terms(normalised, parts[rank], self._buffers[rank], out=self._terms[rank])

        self._team.run(compute)

    def normalised(self) -> Array:
        """Add what `defer_add` left, and return the LayerNorm of the tokens, each with a one appended.

        LayerNorm's weight and bias are not applied: they are folded into the map that follows.

        Returns
        -------
        ndarray of float32, shape (B, N, D + 1)
            Overwritten by the next call.
        """
        B, N, D = self._x.shape
        out = self._buffers[0].take("normalised", B, N, D + 1)
        x, normalised = self._x.reshape(-1, D), out.reshape(-1, D + 1)
        terms, bias = [term.reshape(-1, D) for term in self._terms], self._bias
        shared, step = shares(len(x), self._team.size), max(1, BLOCK // D)

        def compute(rank: int) -> None:
            mine = shared[rank]
            for start in range(mine.start, mine.stop, step):
                rows = slice(start, min(start + step, mine.stop))
                for term in terms:
                    np.add(x[rows], term[rows], out=x[rows])
                if bias is not None:
                    np.add(x[rows], bias, out=x[rows])
                layer_norm(x[rows], self._eps, out=normalised[rows, :D])
            normalised[mine, D] = 1

        self._team.run(compute)
        self._terms, self._bias = [], None
        return out
