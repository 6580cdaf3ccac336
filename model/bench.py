"""The encoder's speed, compared with that of a matrix product (sgemm) alone.

``flask model bench`` calls `measure`. `bench`, the package beside this one, compares with other libraries.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.config import CHANNELS, ViTConfig
from model.encoder import Encoder
from model.network.threads import blas_threads

_PARTS = {
    "product": "matrix products",
    "attend": "attention's products",
    "attend_from_all": "attention's products",
    "attend_from_first": "attention's products",
    "softmax_numerator": "softmax",
    "trustworthy": "softmax",
    "gelu": "GELU",
    "swiglu": "SwiGLU",
    "_divide_by_one_plus_exp": "GELU",
    "layer_norm": "LayerNorm",
    "<method 'get' of '_queue.SimpleQueue' objects>": "waiting for other threads",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Measurements of an encoder.

    Attributes
    ----------
    tokens, threads : int
        Tokens of a picture; threads that share a forward pass.
    seconds, batch_seconds : float
        Median time per picture, alone and in batches of 8.
    gflop : float
        Arithmetic for one picture, in 10^9 operations.
    sgemm : float
        GFLOP/s of NumPy's product of the MLP's shape, with as many threads.
    parts : dict of str to float
        Fraction of the time of one picture by part, in the first thread; largest first.
    """

    tokens: int
    threads: int
    seconds: float
    batch_seconds: float
    gflop: float
    sgemm: float
    parts: dict[str, float]

    @property
    def rate(self) -> float:
        """GFLOP/s of one picture alone."""
        return self.gflop / self.seconds


def measure(encoder: Encoder, rounds: int = 15) -> Figures:
    """Measure an encoder on random pixels of its crop size.

    Parameters
    ----------
    encoder : Encoder
    rounds : int
        Repetitions, of which the median counts.

    Returns
    -------
    Figures
    """
    config, side = encoder.config, encoder.geometry.crop
    pixels = np.random.default_rng(0).standard_normal((8, CHANNELS, side, side), dtype=np.float32)
    tokens = config.prefix + (side // config.patch) ** 2
    encoder.encode_arrays(pixels)
    one, sgemm = _medians(rounds, lambda: encoder.encode_arrays(pixels[:1]), _sgemm(config, tokens))
    (batch,) = _medians(max(3, rounds // 4), lambda: encoder.encode_arrays(pixels))
    return Figures(
        tokens=tokens,
        threads=blas_threads(),
        seconds=one,
        batch_seconds=batch / len(pixels),
        gflop=needed_gflop(config, tokens),
        sgemm=2 * tokens * config.width * config.hidden / sgemm / 1e9,
        parts=_shares(lambda: encoder.encode_arrays(pixels[:1]), rounds),
    )


def needed_gflop(config: ViTConfig, tokens: int) -> float:
    """Return the arithmetic for the CLS feature of one picture, in 10^9 operations.

    Only matrix products count, with two operations for each multiplication. The last block computes keys and
    values of all tokens, and everything else for the CLS token alone.

    Parameters
    ----------
    config : ViTConfig
    tokens : int
        Tokens of a picture.

    Returns
    -------
    float
    """
    D, F, N = config.width, config.hidden, tokens
    patches = 2 * (N - config.prefix) * CHANNELS * config.patch**2 * D
    mlp = (2 if config.mlp == "gelu" else 3) * D * F
    block = 2 * N * (4 * D * D + 2 * N * D + mlp)
    last = 2 * (2 * N * D * D + 2 * D * D + 2 * N * D + mlp)
    return (patches + (config.depth - 1) * block + last) / 1e9


def _sgemm(config: ViTConfig, tokens: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((tokens, config.width), dtype=np.float32)
    weight = rng.standard_normal((config.width, config.hidden), dtype=np.float32)
    out = np.empty((tokens, config.hidden), np.float32)
    return lambda: np.matmul(x, weight, out=out)


def _medians(rounds: int, *functions: Callable[[], object]) -> list[float]:
    """Return median times of functions that are called in turn, so that a disturbance affects all."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [float(np.median(taken)) for taken in times]


def _shares(function: Callable[[], object], rounds: int) -> dict[str, float]:
    profile = cProfile.Profile()
    for _ in range(rounds):
        profile.runcall(function)
    times: dict[str, float] = {}
    for (_, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        part = _PARTS.get(name, "everything else")
        times[part] = times.get(part, 0.0) + own
    total = sum(times.values())
    return {part: own / total for part, own in sorted(times.items(), key=lambda item: -item[1])}
