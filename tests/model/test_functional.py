"""Activations, LayerNorm, softmax and attention compared with their formulas in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from model.network import layers
from model.network.buffers import Buffers
from model.network.functional import (
    BLOCK,
    blocks,
    gelu,
    layer_norm,
    softmax_numerator,
    swiglu,
    trustworthy,
)
from tests.support import reference

RNG = np.random.default_rng(0)


def plain_attention(q: NDArray[Any], k: NDArray[Any], v: NDArray[Any]) -> NDArray[np.float64]:
    q, k, v = (part.astype(np.float64) for part in (q, k, v))
    return reference.softmax(q @ k.swapaxes(1, 2)) @ v


def apply_gelu(x: NDArray[Any]) -> NDArray[Any]:
    found = x.reshape(1, -1).copy()
    gelu(found, np.empty((2, *found.shape), np.float32))
    return found.reshape(x.shape)


def test_gelu_is_exact_to_float32_everywhere() -> None:
    far = [0.0, -0.0, 1e4, -1e4, 3e38, -3e38]
    x = np.concatenate([np.linspace(-40, 40, 400_001), far]).astype(np.float32)
    exact = x.astype(np.float64) * ndtr(x.astype(np.float64))

    assert (np.abs(apply_gelu(x) - exact) <= 2e-7 * np.maximum(1, np.abs(exact))).all()


def test_gelu_is_far_more_accurate_than_the_tanh_approximation() -> None:
    x = np.linspace(-4, 4, 1001, dtype=np.float32)
    exact = reference.gelu(x.astype(np.float64))
    approximation = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    assert np.abs(apply_gelu(x) - exact).max() < 1e-3 * np.abs(approximation - exact).max()


@pytest.mark.parametrize("shape", [(1, 40_000), (100, 1536), (0, 8)])
def test_blocks_cover_all_rows_once(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)

    for rows in blocks(x):
        assert rows.size <= max(BLOCK, shape[1])
        rows += 1

    np.testing.assert_array_equal(x, 1)


def test_swiglu_is_the_gated_unit() -> None:
    gate, up = RNG.standard_normal((2, 7, 9), dtype=np.float32) * 20
    expected = gate.astype(np.float64) * expit(gate.astype(np.float64)) * up
    gate[0, 0], expected[0, 0] = -1e4, 0  # overflows exp

    swiglu(gate, up, np.empty((7, 9), np.float32))

    np.testing.assert_allclose(gate, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_layer_norm_of_centred_rows_is_the_textbook_formula(scale: float) -> None:
    x = RNG.standard_normal((11, 96), dtype=np.float32) * np.float32(scale)
    x -= x.mean(axis=1, keepdims=True)
    out = np.empty_like(x)
    wide = x.astype(np.float64)

    layer_norm(x, 1e-6, out)

    expected = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(wide.var(axis=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6)


def test_layer_norm_of_zeros_is_zeros() -> None:
    out = np.empty((1, 8), np.float32)

    layer_norm(np.zeros((1, 8), np.float32), 1e-6, out)

    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("offset", [0, 30, -30])
def test_softmax_divided_by_its_denominator_is_softmax(offset: int) -> None:
    scores = RNG.standard_normal((2, 5, 33), dtype=np.float32) + np.float32(offset)
    expected = reference.softmax(scores.astype(np.float64))

    denominator = softmax_numerator(scores)

    assert denominator.shape == (2, 5, 1)
    assert trustworthy(denominator)
    np.testing.assert_allclose(scores / denominator, expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize("score", [60.0, 200.0, -60.0, -200.0, np.nan])
def test_one_row_near_the_limits_of_float32_makes_denominators_untrustworthy(score: float) -> None:
    scores = RNG.standard_normal((2, 5, 33), dtype=np.float32)
    scores[1, 3] = score

    assert not trustworthy(softmax_numerator(scores))


@pytest.mark.parametrize("scale", [1, 20, 1000])
@pytest.mark.parametrize("offset", [0, 60, 500, -500])
def test_attention_is_accurate_for_scores_of_any_size(scale: float, offset: int) -> None:
    k, v = RNG.standard_normal((2, 1, 33, 8), dtype=np.float32)
    q = RNG.standard_normal((1, 5, 8), dtype=np.float32) * np.float32(scale)
    k[..., 0], q[..., 0] = 1, offset
    out = np.empty_like(q)

    layers.attend(q, k, v, Buffers(), out)

    np.testing.assert_allclose(out, plain_attention(q, k, v), rtol=0, atol=3e-4)


def test_attention_is_accurate_for_rows_far_apart() -> None:
    q = np.array([[[1e4], [-1e4], [0]]], np.float32)
    v, out = RNG.standard_normal((1, 8, 1), dtype=np.float32), np.empty_like(q)

    layers.attend(q, np.ones((1, 8, 1), np.float32), v, Buffers(), out)

    np.testing.assert_allclose(out, np.full_like(out, v.mean()), rtol=1e-6)


@pytest.mark.parametrize(
    ("queries", "tokens", "at_a_time"), [(1, 7, 1), (7, 7, 7), (70, 30, 16), (64, 9, 16)]
)
def test_attention_in_blocks_is_attention(
    queries: int, tokens: int, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "SCORES", at_a_time * 3 * tokens)
    q = RNG.standard_normal((3, queries, 16), dtype=np.float32)
    k, v = RNG.standard_normal((2, 3, tokens, 16), dtype=np.float32)
    out = np.empty_like(q)

    layers.attend(q, k, v, Buffers(), out)

    np.testing.assert_allclose(out, plain_attention(q, k, v), rtol=0, atol=2e-6)


def test_buffers_are_kept_and_grow() -> None:
    buffers = Buffers()
    small = buffers.take("a", 2, 3)
    assert np.shares_memory(small, buffers.take("a", 6))
    assert not np.shares_memory(small, buffers.take("b", 6))

    large = buffers.take("a", 4, 5)

    assert large.shape == (4, 5)
    assert np.shares_memory(large, buffers.take("a", 1))
    assert buffers.nbytes == (20 + 6) * 4
