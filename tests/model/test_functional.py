"""The fast pieces against their plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, ndtr

from model.buffers import Buffers
from model.functional import gelu, softmax_numerator, standardise, swiglu
from model.layers import attend, blocks
from tests.support import reference

RNG = np.random.default_rng(0)


def test_gelu_is_exact_to_float32_everywhere():
    x = np.concatenate([np.linspace(-40, 40, 400_001), [0.0, -0.0, 1e4, -1e4, 3e38, -3e38]]).astype(
        np.float32
    )
    found, exact = x.copy(), x.astype(np.float64) * ndtr(x.astype(np.float64))

    gelu(found, np.empty((2, x.size), np.float32))

    assert (np.abs(found - exact) <= 2e-7 * np.maximum(1, np.abs(exact))).all()


def test_gelu_is_nearer_than_the_tanh_approximation():
    x = np.linspace(-4, 4, 1001, dtype=np.float32)
    found = x.copy()
    gelu(found, np.empty((2, x.size), np.float32))

    approximation = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    assert (
        np.abs(found - reference.gelu(x.astype(np.float64))).max()
        < 1e-3 * np.abs(approximation - found).max()
    )


def test_gelu_works_in_a_larger_scratch():
    x = RNG.standard_normal((3, 5), dtype=np.float32)
    found = x.copy()

    gelu(found, np.full((2, 100), np.nan, np.float32))

    np.testing.assert_allclose(found, reference.gelu(x.astype(np.float64)), rtol=0, atol=1e-6)


def test_swiglu_is_the_gated_unit():
    gate, up = RNG.standard_normal((2, 7, 9), dtype=np.float32) * 20
    expected = gate.astype(np.float64) * expit(gate.astype(np.float64)) * up
    gate[0, 0], expected[0, 0] = -1e4, 0  # overflows exp

    swiglu(gate, up, np.empty((1, 100), np.float32))

    np.testing.assert_allclose(gate, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("offset", [0, 1000])
def test_standardise_is_layer_norm_without_weights(offset):
    x = RNG.standard_normal((11, 96), dtype=np.float32) + np.float32(offset)
    out = np.empty_like(x)
    wide = x.astype(np.float64)

    standardise(x, 1e-6, out)

    expected = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(wide.var(axis=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6 if offset == 0 else 2e-4)


def test_standardise_takes_a_constant_row_to_zero():
    out = np.empty((1, 8), np.float32)

    standardise(np.full((1, 8), 5, np.float32), 1e-6, out)

    np.testing.assert_array_equal(out, 0)


def test_softmax_divided_by_its_denominator_is_softmax():
    scores = RNG.standard_normal((5, 33), dtype=np.float32) * 10
    scores[0] += 500
    scores[1] -= 500
    expected = reference.softmax(scores.astype(np.float64))

    denominator = softmax_numerator(scores)

    np.testing.assert_allclose(scores / denominator, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("queries", "tokens"), [(1, 7), (7, 7), (700, 300)])
def test_attention_in_blocks_is_attention(queries, tokens):
    q = RNG.standard_normal((queries, 16), dtype=np.float32)
    k, v = RNG.standard_normal((2, tokens, 16), dtype=np.float32)
    out = np.empty_like(q)

    attend(q, k, v, Buffers(), out)

    wide = [part.astype(np.float64) for part in (q, k, v)]
    np.testing.assert_allclose(out, reference.softmax(wide[0] @ wide[1].T) @ wide[2], rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("rows", "width", "limit"), [(10, 3, 9), (10, 3, 10), (3, 100, 10), (0, 5, 10), (7, 1, 100)]
)
def test_blocks_cover_every_row_once(rows, width, limit):
    pieces = list(blocks(rows, width, limit))

    assert [row for piece in pieces for row in range(piece.start, piece.stop)] == list(range(rows))
    assert all((piece.stop - piece.start) * width <= max(limit, width) for piece in pieces)


def test_buffers_are_kept_and_grow():
    buffers = Buffers()
    small = buffers.take("a", 2, 3)
    assert np.shares_memory(small, buffers.take("a", 6))
    assert not np.shares_memory(small, buffers.take("b", 6))

    large = buffers.take("a", 4, 5)

    assert large.shape == (4, 5)
    assert np.shares_memory(large, buffers.take("a", 1))
    assert buffers.nbytes == (20 + 6) * 4
