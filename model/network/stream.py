"""The residual stream: the tokens on their way through the blocks, and the threads that work on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.network.buffers import Buffers
from model.network.functional import BLOCK, Array, normalise
from model.network.layers import Layer
from model.network.threads import Team, shares


class ResidualStream:
    """Tokens to which layer after layer adds.

    What a layer gets to see of a token is its LayerNorm with a one put after it: then a map's bias is one
    more row of its matrix, and adding it needs no way of its own through the memory.

    Parameters
    ----------
    x : ndarray of float32, shape (B, N, D)
        C-contiguous; overwritten.
    eps : float
        LayerNorm's.
    team : Team
    buffers : sequence of Buffers
        One for each member.
    """

    def __init__(self, x: Array, eps: float, team: Team, buffers: Sequence[Buffers]) -> None:
        self._x = x
        self._eps = eps
        self._team = team
        self._buffers = buffers
        self._terms: list[Array] = []
        self._bias: Array | None = None

    def add(self, layer: Layer, tokens: int | None = None) -> None:
        """Let a layer add to the tokens: ``x = x + layer(norm(x))``.

        Parameters
        ----------
        layer : Layer
            With LayerNorm's weight and bias, and LayerScale's gamma, folded into it.
        tokens : int, optional
            Carry on with so many leading tokens of each picture only; the layer still sees all.
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
        """LayerNorm of the tokens, but for its weight and bias, and a one after each.

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
                normalise(x[rows], self._eps, out=normalised[rows, :D])
            normalised[mine, D] = 1

        self._team.run(compute)
        self._terms, self._bias = [], None
        return out
