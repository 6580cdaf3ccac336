"""No folding step changes the result of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.config import ViTConfig
from model.network.buffers import Buffers
from model.network.fold import (
    Linear,
    Norm,
    centre,
    centre_output,
    fold_attention,
    fold_norm,
    fold_scale,
    split,
)
from model.network.layers import Mlp, SwiGlu
from model.network.panels import cut
from model.network.threads import shares
from tests.support import reference

RNG = np.random.default_rng(0)
D = 24


def linear(into: int, out: int) -> Linear:
    return Linear(
        RNG.standard_normal((into, out), dtype=np.float32), RNG.standard_normal(out, dtype=np.float32)
    )


def stored(out: int, into: int) -> Linear:
    """Return a map as it is read from a checkpoint, transposed as a view."""
    return Linear(linear(out, into).weight.T, vector(out))


def apply(layer: Linear, x: NDArray[Any]) -> NDArray[Any]:
    return x @ layer.weight + layer.bias


def with_one(x: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)


def centred(x: NDArray[Any]) -> NDArray[Any]:
    return x - x.mean(axis=-1, keepdims=True)


def vector(size: int = D) -> NDArray[Any]:
    return RNG.uniform(0.5, 1.5, size).astype(np.float32)


def test_a_norm_moves_into_the_map_after_it() -> None:
    layer, weight, bias, x = stored(10, D), vector(), vector(), RNG.standard_normal((5, D), dtype=np.float32)

    matrix = fold_norm(layer, Norm(weight, bias))

    np.testing.assert_allclose(with_one(x) @ matrix, apply(layer, x * weight + bias), atol=1e-5)


def test_a_scale_moves_into_the_map_before_it() -> None:
    layer, gamma, x = stored(10, D), vector(10), RNG.standard_normal((5, D), dtype=np.float32)

    np.testing.assert_allclose(
        apply(fold_scale(layer, gamma), x), centred(apply(layer, x) * gamma), atol=1e-5
    )


def test_the_output_of_a_centred_map_has_mean_zero_and_the_same_norm() -> None:
    layer, x = linear(D, D), RNG.standard_normal((5, D), dtype=np.float32)

    out = apply(centre_output(layer), x)

    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(out, centred(apply(layer, x)), atol=1e-5)
    np.testing.assert_allclose(centre(x), centred(x), atol=1e-6)


def test_folding_does_not_change_its_arguments() -> None:
    layer, projection = linear(D, 3 * D), linear(D, D)
    kept = Linear(layer.weight.copy(), layer.bias.copy())

    fold_norm(layer, Norm(vector(), vector()))
    fold_scale(layer, vector(3 * D))
    fold_attention(layer, projection, Norm(vector(), vector()), vector(), heads=3)

    np.testing.assert_array_equal(layer.weight, kept.weight)
    np.testing.assert_array_equal(layer.bias, kept.bias)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("queries", [1, 6])
def test_attention_needs_no_scaling_and_no_bias_of_keys_and_values(heads: int, queries: int) -> None:
    qkv, projection, gamma, norm = stored(3 * D, D), stored(D, D), vector(), Norm(vector(), vector())
    x = RNG.standard_normal((2, 6, D), dtype=np.float32) * np.float32(0.3)
    attention = fold_attention(qkv, projection, norm, gamma, heads)

    out = np.empty((2, queries, D), np.float32)
    attention.terms(with_one(x), slice(0, heads), Buffers(), out)

    names = {"attn.qkv": qkv, "attn.proj": projection}
    p = {f"{name}.weight": layer.weight.T.astype(np.float64) for name, layer in names.items()}
    p |= {f"{name}.bias": layer.bias.astype(np.float64) for name, layer in names.items()}
    config = ViTConfig(width=D, depth=1, heads=heads, hidden=1, mlp="gelu", patch=14, grid=1)
    scaled = x.astype(np.float64) * norm.weight + norm.bias
    expected = np.stack([reference.attention(config, p, image) for image in scaled])
    np.testing.assert_allclose(out + attention.bias, centred(expected * gamma)[:, :queries], atol=2e-4)


@pytest.mark.parametrize("kind", [Mlp, SwiGlu])
def test_the_terms_of_all_units_sum_to_the_layer(kind: type[Mlp] | type[SwiGlu]) -> None:
    x = RNG.standard_normal((2, 5, D), dtype=np.float32)
    into, last = [linear(D + 1, 768).weight for _ in range(1 if kind is Mlp else 2)], linear(768, D)
    layer = kind(*map(cut, into), cut(last.weight), last.bias)
    first, *up = (with_one(x).astype(np.float64) @ matrix for matrix in into)
    hidden = reference.gelu(first) if kind is Mlp else first / (1 + np.exp(-first)) * up[0]
    term, total = np.empty((2, 5, D), np.float32), np.zeros((2, 5, D))

    for units in shares(layer.units, 2):
        layer.terms(with_one(x), units, Buffers(), term)
        total += term

    np.testing.assert_allclose(total + layer.bias, apply(last, hidden), rtol=0, atol=2e-3)


def test_a_map_is_split_without_copying() -> None:
    layer = linear(D, 12)

    parts = split(layer, 3)

    assert all(np.shares_memory(part.weight, layer.weight) for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.weight for part in parts], axis=1), layer.weight)
    np.testing.assert_array_equal(np.concatenate([part.bias for part in parts]), layer.bias)
