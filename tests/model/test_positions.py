"""Properties of the interpolation of positions; `test_goldens` compares it with PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from model.config import PositionMode
from model.network.positions import (
    antialiased_bicubic_matrix,
    bicubic_matrix,
    cubic_kernel,
    interpolate_positions,
)
from tests.support import reference

MODES = [("official", False), ("official", True), ("transformers", False), ("transformers", True)]


@pytest.mark.parametrize("a", [-0.5, -0.75])
def test_the_kernel_interpolates_and_its_taps_sum_to_one(a: float) -> None:
    whole, fractions = np.arange(-3.0, 4.0), np.linspace(0, 1, 11)

    np.testing.assert_array_equal(cubic_kernel(whole, a), whole == 0)
    for t in fractions:
        assert cubic_kernel(t - np.arange(-1.0, 3.0), a).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("make", [bicubic_matrix, antialiased_bicubic_matrix])
@pytest.mark.parametrize(("source", "target"), [(37, 16), (37, 37), (5, 12), (7, 1), (1, 4)])
def test_a_constant_stays_constant(
    make: Callable[[int, int], NDArray[np.float64]], source: int, target: int
) -> None:
    matrix = make(source, target)

    assert matrix.dtype == np.float64
    assert matrix.shape == (target, source)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [bicubic_matrix, antialiased_bicubic_matrix])
def test_resampling_to_the_same_size_changes_nothing(make: Callable[[int, int], NDArray[np.float64]]) -> None:
    np.testing.assert_allclose(make(9, 9), np.eye(9), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("mode", "registers"), MODES)
@pytest.mark.parametrize(("height", "width"), [(3, 8), (9, 2), (5, 6)])
def test_rows_and_columns_are_not_confused(
    mode: PositionMode, registers: bool, height: int, width: int
) -> None:
    table = np.random.default_rng(0).standard_normal((5, 5, 3), dtype=np.float32)

    grid = interpolate_positions(table, height, width, mode=mode, registers=registers)

    offset = 0.1 if mode == "official" else 0.0
    expected = reference.bicubic(table.astype(np.float64), height, width, offset=offset, antialias=registers)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("mode", "registers"), MODES)
def test_the_tables_own_grid_is_not_resampled(mode: PositionMode, registers: bool) -> None:
    table = np.random.default_rng(0).standard_normal((5, 5, 3), dtype=np.float32)

    assert interpolate_positions(table, 5, 5, mode=mode, registers=registers) is table
