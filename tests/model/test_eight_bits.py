"""8-bit matrices with a scale for each row: rounding them, reading them, refusing what does not fit."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model import CheckpointError
from model.checkpoints.files import open_checkpoint
from model.checkpoints.storage import quantise
from tests.support.checkpoints import Tensors, write_tensors
from tests.support.reading import read_all, refusal


class TestEightBits:
    MATRIX = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)

    @pytest.fixture
    def stored(self) -> Tensors:
        q, scale = quantise(self.MATRIX)
        return {"w": q, "w.scale": scale}

    def test_a_matrix_comes_back_within_half_a_step_of_each_row(
        self, tmp_path: Path, stored: Tensors
    ) -> None:
        path = write_tensors(tmp_path / "m.safetensors", stored)

        read = read_all(path)

        assert list(read) == ["w"]
        assert read["w"].dtype == np.float32
        half = np.abs(self.MATRIX).max(axis=1, keepdims=True) / 127 / 2
        assert (np.abs(read["w"] - self.MATRIX) <= half * (1 + 1e-5)).all()
        np.testing.assert_array_equal(read["w"], stored["w"].astype(np.float32) * stored["w.scale"][:, None])

    def test_more_axes_than_two_are_rows_of_all_the_others(self, tmp_path: Path) -> None:
        kernel = np.random.default_rng(1).standard_normal((4, 3, 2, 2)).astype(np.float32)
        q, scale = quantise(kernel)

        read = read_all(write_tensors(tmp_path / "m.safetensors", {"w": q, "w.scale": scale}))["w"]

        assert (read.shape, scale.shape) == ((4, 3, 2, 2), (4,))
        np.testing.assert_array_equal(read, q * scale[:, None, None, None])

    def test_many_blocks_of_rows_are_read_in_order(self, tmp_path: Path) -> None:
        matrix = np.random.default_rng(2).standard_normal((70, 40_000)).astype(np.float32)
        q, scale = quantise(matrix)

        read = read_all(write_tensors(tmp_path / "m.safetensors", {"w": q, "w.scale": scale}))["w"]

        np.testing.assert_array_equal(read, q * scale[:, None])

    def test_reading_takes_little_memory_beside_the_matrix(self, tmp_path: Path) -> None:
        q = np.full((4096, 4096), 3, np.int8)
        path = write_tensors(tmp_path / "m.safetensors", {"w": q, "w.scale": np.ones(len(q), np.float32)})

        with open_checkpoint(path) as file:
            tracemalloc.start()
            matrix = file.read("w")
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()

        assert peak - matrix.nbytes < 3 << 20

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"w.scale": None}, "w is stored in 8 bits, and w.scale is missing"),
            ({"w": None}, "w.scale has no 8-bit matrix that it belongs to"),
            ({"v.scale": np.ones(5, np.float32)}, "v.scale has no 8-bit matrix that it belongs to"),
            ({"w": MATRIX}, "w.scale has no 8-bit matrix that it belongs to"),
            ({"w.scale": np.ones(7, np.float32)}, "w.scale: expected float32 (5,), found float32 (7,)"),
            ({"w.scale": np.ones((5, 1), np.float32)}, "expected float32 (5,), found float32 (5, 1)"),
            ({"w.scale": np.ones(5, np.float16)}, "expected float32 (5,), found float16 (5,)"),
            ({"w.scale": np.ones((5, 2), np.int8)}, "expected float32 (5,), found int8 (5, 2)"),
            ({"w": np.ones(5, np.int8)}, "its shape (5,) is not that of a matrix"),
            ({"w": np.ones((5, 0), np.int8)}, "its shape (5, 0) is not that of a matrix"),
            ({"w.scale": np.float32([1, 1, -1, 1, 1])}, "w.scale: a row's scale is negative"),
            ({"w.scale": np.float32([1, 1, np.nan, 1, 1])}, "w.scale: a row's scale is negative, not finite"),
            ({"w.scale": np.float32([1, 1, np.inf, 1, 1])}, "w.scale: a row's scale is negative, not finite"),
            ({"w.scale": np.float32([1, 1, 3e38, 1, 1])}, "not finite or too large"),
        ],
    )  # fmt: skip
    def test_a_scale_that_does_not_fit_is_refused_by_name(
        self, tmp_path: Path, stored: Tensors, changes: dict[str, NDArray[Any] | None], complaint: str
    ) -> None:
        tensors = {name: tensor for name, tensor in (stored | changes).items() if tensor is not None}
        path = write_tensors(tmp_path / "m.safetensors", tensors)

        message = refusal(path)

        assert complaint in message
        assert str(path) in message

    def test_an_npz_has_none(self, tmp_path: Path, stored: Tensors) -> None:
        message = refusal(write_tensors(tmp_path / "m.npz", stored))

        assert "8-bit matrices can be stored in .safetensors only" in message


class TestQuantise:
    def test_the_largest_of_each_row_becomes_127(self) -> None:
        q, scale = quantise(np.float32([[1, -2, 0.5], [0, 100, -100]]))

        assert q.tolist() == [[64, -127, 32], [0, 127, -127]]  # 63.5 and 31.75
        np.testing.assert_array_equal(scale, np.float32([2, 100]) / np.float32(127))

    def test_a_half_goes_to_the_even_neighbour(self) -> None:
        q, _ = quantise(np.float32([[127, 0.5, 1.5, 2.5, -0.5, -1.5]]))

        assert q.tolist() == [[127, 0, 2, 2, 0, -2]]

    def test_a_row_of_zeros_stays_one(self) -> None:
        q, scale = quantise(np.zeros((2, 3), np.float32))

        assert not q.any()
        assert not scale.any()

    @pytest.mark.parametrize("tiny", [1e-45, 1e-43, 1e-39])
    def test_the_smallest_numbers_neither_overflow_nor_divide_by_zero(self, tiny: float) -> None:
        q, scale = quantise(np.full((1, 4), tiny, np.float32))

        assert (q >= 0).all()
        assert (scale * q <= 2 * tiny).all()

    @pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(self, number: float) -> None:
        with pytest.raises(CheckpointError, match="not finite"):
            quantise(np.float32([[1, number]]))
