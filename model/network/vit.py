"""The Vision Transformer of DINOv2.

First read ``tests/support/reference.py``, the same network written down as in the papers; this module
computes the same numbers fast.

A picture becomes a sequence of tokens: the CLS token, which comes to stand for the whole picture [1]_,
register tokens in some models [3]_, and one token for every patch of 14 x 14 pixels. Each block adds to them
the outputs of attention and of an MLP. The CLS token of the last block is the picture's feature [2]_.

`model.encoder` calls `VisionTransformer.forward`. The parts are in the other modules of `model.network`.

References
----------
.. [1] Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
   arXiv:2010.11929.
.. [2] Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", arXiv:2304.07193.
.. [3] Darcet et al., "Vision Transformers Need Registers", arXiv:2309.16588.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.config import CHANNELS, PositionMode, ViTConfig
from model.network.buffers import Buffers
from model.network.fold import Parameters
from model.network.functional import Array
from model.network.panels import product
from model.network.positions import interpolate_positions
from model.network.stream import ResidualStream
from model.network.threads import SOLO, Team, shares, team

GROUP_TOKENS = 2100  # tokens that a thread takes through the blocks together: long products, little memory
SHARED_OPERATIONS = 150_000_000  # of a block; below that, threads lose more by waiting than they save
CACHED_TABLES = 8  # position tables that are kept, one for each size of picture


class VisionTransformer:
    """A ViT with its parameters, ready to run.

    Parameters
    ----------
    config : ViTConfig
    parameters : Parameters
    positions : {"official", "transformers"}
        Whose interpolation of position embeddings to match; see
        `model.network.positions.interpolate_positions`.
    threads : int, optional
        Threads that share a forward pass; by default the number that BLAS may use.
    """

    def __init__(
        self,
        config: ViTConfig,
        parameters: Parameters,
        positions: PositionMode = "official",
        threads: int | None = None,
    ) -> None:
        self.config = config
        self.positions = positions
        self.threads = threads
        self._parameters = parameters
        self._buffers: list[Buffers] = []
        self._tables: dict[tuple[int, int], Array] = {}

    def forward(self, pixels: Array, *, patches: bool = False) -> Array:
        """Run the network on pictures of equal shape.

        Parameters
        ----------
        pixels : ndarray of float32, shape (B, 3, H, W)
            Normalised; H and W are multiples of the patch size.
        patches : bool
            Return all tokens, instead of the CLS token alone, which takes less time.

        Returns
        -------
        ndarray of float32, shape (B, 1, D) or (B, N, D)
            Tokens after the final LayerNorm: CLS, registers, then patches row by row.

        Raises
        ------
        ValueError
            `pixels` has another type or shape.
        """
        self._check(pixels)
        h, w = (side // self.config.patch for side in pixels.shape[2:])
        tokens = self.config.prefix + h * w if patches else 1
        features = np.empty((len(pixels), tokens, self.config.width), np.float32)
        with team(self.threads) as workers:
            buffers = self._take_buffers(workers.size)
            table = self._position_table(h, w)
            whole = len(pixels) - len(pixels) % workers.size
            if whole:  # each thread encodes whole pictures
                images = shares(whole, workers.size)
                workers.run(
                    lambda rank: self._encode(
                        pixels[images[rank]], table, features[images[rank]], SOLO, buffers[rank:]
                    )
                )
            together = workers if self._operations(len(table)) > SHARED_OPERATIONS else SOLO
            # The remaining pictures, fewer than threads: all threads share each of them.
            self._encode(pixels[whole:], table, features[whole:], together, buffers)
            self._buffers = buffers
        return features

    def _operations(self, patches: int) -> int:
        """Return roughly the operations of one block for one picture: those of its matrix products."""
        return 24 * (self.config.prefix + patches) * self.config.width**2

    def _take_buffers(self, count: int) -> list[Buffers]:
        """Borrow a buffer for each thread. After an error, none is returned: threads may still use them."""
        buffers, self._buffers = self._buffers, []
        return buffers + [Buffers() for _ in range(count - len(buffers))]

    def _encode(
        self, pixels: Array, table: Array, features: Array, workers: Team, buffers: Sequence[Buffers]
    ) -> None:
        """Encode pictures in groups, and write the leading tokens of each to `features`, (B, tokens, D)."""
        step = max(1, GROUP_TOKENS // (self.config.prefix + len(table)))
        for start in range(0, len(pixels), step):
            group = slice(start, start + step)
            x = self._embed(pixels[group], table, workers, buffers)  # (B, N, D)
            features[group] = self._run_blocks(x, features.shape[1], workers, buffers)

    def _embed(self, pixels: Array, table: Array, workers: Team, buffers: Sequence[Buffers]) -> Array:
        """Project the patches, add positions, and put CLS and registers first; return (B, N, D)."""
        B, _, H, W = pixels.shape
        p, D = self.config.patch, self.config.width
        h, w = H // p, W // p
        prefix, panels = self._parameters.prefix, self._parameters.patch_embed
        x = buffers[0].take("x", B, len(prefix) + h * w, D)
        x[:, : len(prefix)] = prefix
        patches = pixels.reshape(B, CHANNELS, h, p, w, p).transpose(0, 2, 4, 1, 3, 5)  # (B, h, w, 3, p, p)
        rows = shares(h, workers.size)

        def compute(rank: int) -> None:
            mine = rows[rank]
            flat = buffers[rank].take("patches", mine.stop - mine.start, w, CHANNELS, p, p)
            tokens = slice(len(prefix) + mine.start * w, len(prefix) + mine.stop * w)
            for image in range(B):
                np.copyto(flat, patches[image, mine])
                product(flat.reshape(-1, CHANNELS * p * p), panels, out=x[image, tokens])
                np.add(x[image, tokens], table[mine.start * w : mine.stop * w], out=x[image, tokens])

        workers.run(compute)
        return x

    def _run_blocks(self, x: Array, tokens: int, workers: Team, buffers: Sequence[Buffers]) -> Array:
        """Take tokens (B, N, D) through all blocks; return the leading ones normalised, (B, tokens, D)."""
        stream = ResidualStream(x, self.config.eps, workers, buffers)
        *blocks, last = self._parameters.blocks
        for block in blocks:
            stream.defer_add(block.attention)
            stream.defer_add(block.mlp)
        stream.defer_add(last.attention, tokens)
        stream.defer_add(last.mlp)
        return stream.normalised()[..., :-1] * self._parameters.norm_weight + self._parameters.norm_bias

    def _position_table(self, h: int, w: int) -> Array:
        """Return positions of h x w patches plus the patch embedding's bias, (h w, D); cache a few."""
        table = self._tables.pop((h, w), None)
        if table is None:
            stored, registers = self._parameters.positions, self.config.registers > 0
            grid = interpolate_positions(stored, h, w, mode=self.positions, registers=registers)
            table = (grid + self._parameters.patch_bias).reshape(h * w, -1)
        self._tables[h, w] = table
        if len(self._tables) > CACHED_TABLES:
            del self._tables[next(iter(self._tables))]
        return table

    def _check(self, pixels: Array) -> None:
        p, shape = self.config.patch, pixels.shape
        if pixels.dtype != np.float32 or pixels.ndim != 4 or shape[1] != CHANNELS:
            raise ValueError(f"expected float32 of shape (B, 3, H, W), found {pixels.dtype} of shape {shape}")
        if any(side < p or side % p for side in shape[2:]):
            raise ValueError(f"height and width must be multiples of {p}, found {shape[2]} x {shape[3]}")
