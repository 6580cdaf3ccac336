"""Each folding step leaves what is computed as it was."""

from __future__ import annotations

import numpy as np
import pytest

from model.buffers import Buffers
from model.config import ViTConfig
from model.fold import centre, centre_output, fold_attention, fold_norm, fold_scale, split_rows
from model.layers import Linear, Mlp, SwiGlu
from tests.support import reference

RNG = np.random.default_rng(0)
D = 24


def linear(out, into):
    return Linear(
        RNG.standard_normal((out, into), dtype=np.float32), RNG.standard_normal(out, dtype=np.float32)
    )


def apply(layer, x):
    return x @ layer.weight.T + layer.bias


def centred(x):
    return x - x.mean(axis=-1, keepdims=True)


def vector(size=D):
    return RNG.uniform(0.5, 1.5, size).astype(np.float32)


def test_a_norm_moves_into_the_map_after_it():
    layer, weight, bias, x = linear(10, D), vector(), vector(), RNG.standard_normal((5, D), dtype=np.float32)

    np.testing.assert_allclose(
        apply(fold_norm(layer, weight, bias), x), apply(layer, x * weight + bias), atol=1e-5
    )


def test_a_scale_moves_into_the_map_before_it():
    layer, gamma, x = linear(10, D), vector(10), RNG.standard_normal((5, D), dtype=np.float32)

    np.testing.assert_allclose(
        apply(fold_scale(layer, gamma), x), centred(apply(layer, x) * gamma), atol=1e-5
    )


def test_a_centred_map_puts_out_no_mean_and_the_same_norm_follows():
    layer, x = linear(D, D), RNG.standard_normal((5, D), dtype=np.float32)

    out = apply(centre_output(layer), x)

    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(out, centred(apply(layer, x)), atol=1e-5)
    np.testing.assert_allclose(centre(x), centred(x), atol=1e-6)


def test_folding_leaves_what_it_was_given():
    layer = linear(10, D)
    kept = Linear(layer.weight.copy(), layer.bias.copy())

    fold_norm(layer, vector(), vector())
    fold_scale(layer, vector(10))

    np.testing.assert_array_equal(layer.weight, kept.weight)
    np.testing.assert_array_equal(layer.bias, kept.bias)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("queries", [1, 6])
def test_attention_needs_no_scaling_and_no_bias_of_keys_and_values(heads, queries):
    qkv, projection, gamma = linear(3 * D, D), linear(D, D), vector()
    x = RNG.standard_normal((2, 6, D), dtype=np.float32)
    attention = fold_attention(Linear(qkv.weight.copy(), qkv.bias), projection, gamma, heads)

    out = np.empty((2, queries, D), np.float32)
    attention.terms(x, slice(0, heads), Buffers(), out)

    names = {"attn.qkv": qkv, "attn.proj": projection}
    p = {f"{name}.weight": layer.weight.astype(np.float64) for name, layer in names.items()}
    p |= {f"{name}.bias": layer.bias.astype(np.float64) for name, layer in names.items()}
    config = ViTConfig(width=D, depth=1, heads=heads, hidden=1, mlp="gelu", patch=14, grid=1)
    expected = np.stack([reference.attention(config, p, image.astype(np.float64)) for image in x])
    np.testing.assert_allclose(out + attention.bias, centred(expected * gamma)[:, :queries], atol=2e-4)


@pytest.mark.parametrize("kind", [Mlp, SwiGlu])
def test_the_terms_of_all_units_make_up_the_layer(kind):
    parts = [linear(40, D), linear(D, 40)] if kind is Mlp else [linear(40, D), linear(40, D), linear(D, 40)]
    layer, x = kind(*parts), RNG.standard_normal((2, 5, D), dtype=np.float32)
    whole, term = np.empty((2, 5, D), np.float32), np.empty((2, 5, D), np.float32)

    layer.terms(x, slice(0, 40), Buffers(), whole)
    total = np.zeros_like(whole)
    for start, stop in ((0, 1), (1, 17), (17, 40)):
        layer.terms(x, slice(start, stop), Buffers(), term)
        total += term

    np.testing.assert_allclose(total, whole, rtol=0, atol=2e-4)


def test_rows_are_parted_without_copying():
    layer = linear(12, D)

    parts = split_rows(layer, 3)

    assert all(np.shares_memory(part.weight, layer.weight) for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.bias for part in parts]), layer.bias)
