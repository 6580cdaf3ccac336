"""The residual stream: the tokens on their way through the blocks, and the threads that work on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.buffers import Buffers
from model.functional import Array, normalise
from model.layers import Layer
from model.threads import Team, shares


class ResidualStream:
    """Tokens to which layer after layer adds.

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
        """LayerNorm of the tokens, but for its weight and bias.

        Returns
        -------
        ndarray of float32, shape (B, N, D)
            Overwritten by the next call.
        """
        out = self._buffers[0].take("normalised", *self._x.shape)
        D = self._x.shape[-1]
        x, normalised = self._x.reshape(-1, D), out.reshape(-1, D)
        terms, bias = [term.reshape(-1, D) for term in self._terms], self._bias
        rows = shares(len(x), self._team.size)

        def compute(rank: int) -> None:
            mine = x[rows[rank]]
            for term in terms:
                np.add(mine, term[rows[rank]], out=mine)
            if bias is not None:
                np.add(mine, bias, out=mine)
            normalise(mine, self._eps, out=normalised[rows[rank]])

        self._team.run(compute)
        self._terms, self._bias = [], None
        return out
