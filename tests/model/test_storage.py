"""Converted checkpoints in every storage type: accuracy, size and refused numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from model import CheckpointError, load_encoder
from model.checkpoints.convert import convert
from model.checkpoints.layouts import HUB
from model.checkpoints.storage import SCALE, is_matrix, quantise
from model.checkpoints.weights import open_weights
from model.config import StorageType
from model.network.functional import Array
from tests.support.checkpoints import (
    KINDS,
    in_layout,
    random_pixels,
    random_tensors,
    write_checkpoint,
    write_tensors,
    write_tiny_checkpoint,
)


def distance(one: Path, other: Path, pixels: Array) -> float:
    """Return the largest 1 - cosine between the features of two checkpoints."""
    a, b = (load_encoder(path).encode_arrays(pixels).astype(np.float64) for path in (one, other))
    return float((1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).max())


@pytest.mark.parametrize(("storage", "bound"), [("float32", 1e-12), ("float16", 1e-6), ("int8", 5e-4)])
@pytest.mark.parametrize("kind", ["plain", "registers", "swiglu"])
def test_features_stay_as_near_as_the_type_allows(
    tmp_path: Path, kind: str, storage: StorageType, bound: float
) -> None:
    source = write_checkpoint(tmp_path / "source.safetensors", KINDS[kind])

    convert(source, tmp_path / "target.safetensors", storage)

    assert distance(source, tmp_path / "target.safetensors", random_pixels(4, 3, 70, 70)) < bound


def test_eight_bits_are_for_matrices_and_each_row_is_kept_within_half_a_step(tmp_path: Path) -> None:
    source = write_tiny_checkpoint(tmp_path / "source.safetensors")

    convert(source, tmp_path / "target.safetensors", "int8")

    stored = load_file(tmp_path / "target.safetensors")
    with open_weights(source) as before, open_weights(tmp_path / "target.safetensors") as after:
        for name in before.config.shapes():
            old, new = before.read(name), after.read(name)
            if name.endswith(".weight") and old.ndim > 1:
                assert stored[name].dtype == np.int8
                rows = old.reshape(len(old), -1)
                half = np.abs(rows).max(axis=1, keepdims=True) / 127 / 2
                assert (np.abs(new.reshape(rows.shape) - rows) <= half * (1 + 1e-5)).all()
            else:
                assert stored[name].dtype == np.float32
                np.testing.assert_array_equal(new, old)


def test_a_second_conversion_to_eight_bits_changes_no_number(tmp_path: Path) -> None:
    convert(write_tiny_checkpoint(tmp_path / "source.npz"), tmp_path / "once.safetensors", "int8")

    convert(tmp_path / "once.safetensors", tmp_path / "twice.safetensors", "int8")

    once, twice = load_file(tmp_path / "once.safetensors"), load_file(tmp_path / "twice.safetensors")
    assert once.keys() == twice.keys()
    for name, numbers in once.items():
        np.testing.assert_allclose(twice[name], numbers, rtol=2e-7)


def test_the_file_takes_a_quarter_or_half(tmp_path: Path) -> None:
    source, sizes = write_checkpoint(tmp_path / "source.npz", KINDS["plain"]), {}
    for storage in ("float32", "float16", "int8"):
        convert(source, tmp_path / f"{storage}.safetensors", storage)
        sizes[storage] = (tmp_path / f"{storage}.safetensors").stat().st_size

    assert sizes["float16"] < 0.55 * sizes["float32"]
    assert sizes["int8"] < 0.33 * sizes["float32"]  # so small a network has many biases


@pytest.mark.parametrize(
    ("storage", "expected"), [("float32", "float32"), ("float16", "float16"), ("int8", "int8 and float32")]
)
def test_an_open_checkpoint_tells_how_it_is_stored(
    tmp_path: Path, storage: StorageType, expected: str
) -> None:
    convert(write_tiny_checkpoint(tmp_path / "source.pth"), tmp_path / "target.safetensors", storage)

    with open_weights(tmp_path / "target.safetensors") as weights:
        assert weights.storage == expected


@pytest.mark.parametrize(
    ("storage", "number", "complaint"),
    [("float16", 1e6, "too large for float16"), ("int8", np.inf, "a row's scale is negative, not finite")],
)
def test_numbers_that_do_not_fit_are_refused_by_name_and_nothing_is_left(
    tmp_path: Path, storage: StorageType, number: float, complaint: str
) -> None:
    tensors = random_tensors(KINDS["plain"])
    tensors["blocks.1.mlp.fc1.weight"][3, 4] = number
    source = write_tensors(tmp_path / "source.npz", tensors)

    with pytest.raises(CheckpointError, match=f"source.npz: blocks.1.mlp.fc1.weight.*{complaint}"):
        convert(source, tmp_path / "target.safetensors", storage)

    assert [path.name for path in tmp_path.iterdir()] == ["source.npz"]


def test_an_eight_bit_matrix_of_another_layout_is_joined_from_its_parts(tmp_path: Path) -> None:
    tensors = in_layout(random_tensors(KINDS["plain"]), HUB)
    stored = {}
    for name, tensor in tensors.items():
        stored[name] = tensor
        if is_matrix(name, tensor.shape):
            stored[name], stored[name + SCALE] = quantise(tensor)
    path = write_tensors(tmp_path / "hub.safetensors", stored)

    with open_weights(path) as weights:
        joined = weights.read("blocks.0.attn.qkv.weight")

    expected = random_tensors(KINDS["plain"])["blocks.0.attn.qkv.weight"]
    assert np.abs(joined - expected).max() <= np.abs(expected).max() / 254 * (1 + 1e-5)
