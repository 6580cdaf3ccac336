"""Products in panels compared with the plain product."""

from __future__ import annotations

import numpy as np
import pytest

from model.network import panels
from model.network.buffers import CACHE_LINE, aligned
from model.network.panels import cut, product, rows_at_once

RNG = np.random.default_rng(0)


@pytest.fixture(params=[True, False], ids=["unpacked", "packed"])
def unpacked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Pretend that BLAS multiplies small matrices without packing, and that it packs them."""
    monkeypatch.setattr(panels, "_multiplies_unpacked", lambda: request.param)
    return request.param


@pytest.mark.parametrize("out", [1, 40, 64, 97, 192, 768])
def test_panels_hold_the_columns_in_order(out: int, unpacked: bool) -> None:
    matrix = RNG.standard_normal((out, 7), dtype=np.float32).T

    pieces = cut(matrix)

    assert pieces.shape[2] <= (64 if unpacked else 384)
    assert pieces.ctypes.data % CACHE_LINE == 0
    assert pieces.flags.c_contiguous
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), matrix)


@pytest.mark.parametrize(
    "shape", [(257, 769, 192), (50, 193, 576), (1, 64, 64), (3, 5, 7), (0, 8, 64), (33, 4000, 64)]
)
def test_a_product_in_panels_is_the_product(shape: tuple[int, int, int], unpacked: bool) -> None:
    rows, into, out = shape
    x, matrix = (RNG.standard_normal(size, dtype=np.float32) for size in ((rows, into), (into, out)))
    found = np.full((rows, out), np.nan, np.float32)

    product(x, cut(matrix), out=found)

    expected = x.astype(np.float64) @ matrix
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * into)


def test_tokens_of_several_pictures_and_a_part_of_the_panels_are_taken(unpacked: bool) -> None:
    x, matrix = (
        RNG.standard_normal((2, 9, 30), dtype=np.float32),
        RNG.standard_normal((60, 256), dtype=np.float32),
    )
    pieces, found = cut(matrix), np.empty((2, 9, 256), np.float32)
    width = pieces.shape[2]

    product(x, pieces[:, 10:40], out=found)
    first = np.empty((2, 9, width), np.float32)
    product(x, pieces[:1, 10:40], out=first)

    np.testing.assert_allclose(found, x @ matrix[10:40], rtol=0, atol=1e-4)
    np.testing.assert_allclose(first, found[..., :width], rtol=0, atol=1e-4)


@pytest.mark.parametrize("into", [64, 193, 769, 1536, 3072])
@pytest.mark.parametrize("count", [1, 50, 257, 2056])
def test_rows_at_once_make_a_small_product_and_few_remainders(
    count: int, into: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "_multiplies_unpacked", lambda: True)

    rows = rows_at_once(count, into, 64)

    assert rows * into * 64 <= 1_000_000
    assert rows == count or rows % 4 == 0
    assert count % rows == 0 or rows - count % rows < 4 + rows / 2


def test_rows_are_not_divided_where_blas_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "_multiplies_unpacked", lambda: False)

    assert rows_at_once(2056, 769, 384) == 2056


@pytest.mark.parametrize("size", [(1,), (3, 5), (257, 769)])
def test_an_aligned_array_begins_with_a_line_of_the_cache(size: tuple[int, ...]) -> None:
    for _ in range(8):
        assert aligned(*size).ctypes.data % CACHE_LINE == 0
        assert aligned(*size).shape == size
