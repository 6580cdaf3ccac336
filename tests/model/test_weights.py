"""Checkpoints of every format and layout give the same parameters; faulty ones are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import pytest

from model import CheckpointError, load_encoder
from model.checkpoints.layouts import HUB, LAYOUTS, OFFICIAL, Layout, detect_layout
from model.checkpoints.weights import open_weights
from model.config import ViTConfig
from model.network.fold import fold
from tests.support.checkpoints import (
    KINDS,
    Tensors,
    in_layout,
    random_pixels,
    random_tensors,
    write_checkpoint,
    write_tensors,
    write_tiny_checkpoint,
)

SUFFIXES = [".safetensors", ".npz", ".pth"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("kind", ["plain", "registers", "swiglu", "swiglu-registers"])
def test_every_format_and_layout_gives_the_same_parameters(
    tmp_path: Path, kind: str, layout: Layout, suffix: str
) -> None:
    config, tensors = KINDS[kind], random_tensors(KINDS[kind])
    path = write_checkpoint(tmp_path / f"model{suffix}", config, layout=layout)

    with open_weights(path) as weights:
        assert weights.config == config
        for name in config.shapes():
            np.testing.assert_array_equal(weights.read(name), tensors[name])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_precision_is_widened_when_read(tmp_path: Path, suffix: str) -> None:
    path = write_checkpoint(tmp_path / f"half{suffix}", KINDS["plain"], half=True)

    with open_weights(path) as weights:
        parameter = weights.read("blocks.0.attn.qkv.weight")

    assert parameter.dtype == np.float32
    expected = random_tensors(KINDS["plain"])["blocks.0.attn.qkv.weight"].astype(np.float16)
    np.testing.assert_array_equal(parameter, expected.astype(np.float32))


def test_a_checkpoint_without_mask_token_loads(tmp_path: Path) -> None:
    tensors = random_tensors(KINDS["plain"])
    del tensors["mask_token"]

    with open_weights(write_tensors(tmp_path / "model.npz", tensors)) as weights:
        assert weights.config == KINDS["plain"]


def test_an_npz_may_be_compressed_and_in_fortran_order(tmp_path: Path) -> None:
    tensors = {name: np.asfortranarray(tensor) for name, tensor in random_tensors(KINDS["plain"]).items()}
    np.savez_compressed(tmp_path / "model.npz", **tensors)

    with open_weights(tmp_path / "model.npz") as weights:
        parameter = weights.read("blocks.1.mlp.fc1.weight")

    assert parameter.flags.c_contiguous
    np.testing.assert_array_equal(parameter, tensors["blocks.1.mlp.fc1.weight"])


class TestHeads:
    def test_are_64_wide_by_default(self, tmp_path: Path) -> None:
        with open_weights(write_checkpoint(tmp_path / "m.npz", KINDS["swiglu"])) as weights:
            assert weights.config.heads == 2

    def test_come_from_the_files_metadata(self, tmp_path: Path) -> None:
        path = write_tiny_checkpoint(tmp_path / "m.safetensors", heads=4)

        with open_weights(path) as weights:
            assert weights.config.heads == 4

    def test_come_from_a_config_beside_the_file(self, tmp_path: Path) -> None:
        path = write_tiny_checkpoint(tmp_path / "m.pth")
        (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 2, "layer_norm_eps": 1e-5}))

        with open_weights(path) as weights:
            assert (weights.config.heads, weights.config.eps) == (2, 1e-5)

    def test_metadata_wins_over_the_config_beside(self, tmp_path: Path) -> None:
        path = write_tiny_checkpoint(tmp_path / "m.safetensors", heads=4)
        (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 2}))

        with open_weights(path) as weights:
            assert weights.config.heads == 4

    @pytest.mark.parametrize(
        ("config", "complaint"),
        [
            ("not json", "config.json is not valid JSON"),
            ("[1]", "must hold a JSON object"),
            ('{"num_attention_heads": "many"}', "num_attention_heads is 'many'"),
            ('{"num_attention_heads": 5}', "cannot be divided into 5 attention heads"),
            ('{"hidden_size": 768}', "hidden_size 768, but the tensors have width 64"),
        ],
    )
    def test_an_invalid_config_beside_the_file_is_refused(
        self, tmp_path: Path, config: str, complaint: str
    ) -> None:
        path = write_tiny_checkpoint(tmp_path / "m.npz")
        (tmp_path / "config.json").write_text(config)

        with pytest.raises(CheckpointError, match=complaint), open_weights(path):
            pass

    def test_are_required_if_the_width_is_not_a_multiple_of_64(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "m.npz", KINDS["many-heads"])

        with pytest.raises(CheckpointError, match="number of heads is unknown"), open_weights(path):
            pass


class TestFaultyTensors:
    @pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.name)
    def layout(self, request: pytest.FixtureRequest) -> Layout:
        return request.param

    @pytest.fixture
    def tensors(self, layout: Layout) -> Tensors:
        return in_layout(random_tensors(KINDS["swiglu-registers"]), layout)

    def refusal(self, tmp_path: Path, tensors: Tensors) -> str:
        path = write_tensors(tmp_path / "m.npz", tensors)
        with pytest.raises(CheckpointError) as refused, open_weights(path):
            pass
        return str(refused.value)

    def test_a_missing_one_is_named(self, tmp_path: Path, layout: Layout, tensors: Tensors) -> None:
        # Without its register tokens it would be a whole ViT without registers.
        optional = {*layout.sources("mask_token"), *layout.sources("register_tokens")}
        for name in tensors.keys() - optional:
            rest = {other: tensor for other, tensor in tensors.items() if other != name}
            assert name in self.refusal(tmp_path, rest)

    def test_an_unknown_one_is_named(self, tmp_path: Path, tensors: Tensors) -> None:
        tensors["head.weight"] = np.zeros((10, 128), np.float32)

        assert "1 unknown: head.weight (10, 128)" in self.refusal(tmp_path, tensors)

    def test_a_misshapen_one_is_named_with_both_shapes(
        self, tmp_path: Path, layout: Layout, tensors: Tensors
    ) -> None:
        name = layout.sources("blocks.1.attn.proj.weight")[0]
        tensors[name] = np.zeros((128, 127), np.float32)

        assert f"1 misshapen: {name}: expected (128, 128), found (128, 127)" in self.refusal(
            tmp_path, tensors
        )

    def test_only_the_first_of_many_are_named(self, tmp_path: Path, layout: Layout, tensors: Tensors) -> None:
        tensors[layout.sources("cls_token")[0]] = np.zeros((1, 1, 192), np.float32)

        message = self.refusal(tmp_path, tensors)

        assert "misshapen" in message
        assert message.count("expected") == 8
        assert message.endswith("...")

    def test_a_block_after_a_gap_is_not_ignored(
        self, tmp_path: Path, layout: Layout, tensors: Tensors
    ) -> None:
        tensors |= {name.replace(".1.", ".3."): tensor for name, tensor in tensors.items() if ".1." in name}

        assert "missing" in self.refusal(tmp_path, tensors)


def test_names_of_no_layout_are_refused(tmp_path: Path) -> None:
    path = write_tensors(tmp_path / "m.npz", {"features.0.weight": np.zeros((3, 3), np.float32)})

    with (
        pytest.raises(CheckpointError, match=r"not those of a DINOv2 checkpoint.*features\.0\.weight"),
        open_weights(path),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "shape", "complaint"),
    [
        ("cls_token", (64,), r"cls_token has the unexpected shape \(64,\)"),
        ("pos_embed", (1, 27, 64), "has 26 patches, which must be a square number"),
        ("patch_embed.proj.weight", (64, 3, 100, 100), "patch is 100"),
        ("cls_token", (1, 1, 65536), "width is 65536"),
    ],
)
def test_an_invalid_configuration_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], complaint: str
) -> None:
    tensors = random_tensors(KINDS["plain"]) | {name: np.zeros(shape, np.float32)}

    with (
        pytest.raises(CheckpointError, match=complaint),
        open_weights(write_tensors(tmp_path / "m.npz", tensors)),
    ):
        pass


def test_layouts_are_recognised_by_their_names() -> None:
    for layout in LAYOUTS:
        keys = in_layout(random_tensors(KINDS["swiglu"]), layout)
        assert detect_layout(keys) is layout
    assert detect_layout(in_layout(random_tensors(KINDS["plain"]), HUB)) is HUB


def test_official_layout_keeps_every_name() -> None:
    tensors = random_tensors(KINDS["registers"])

    assert list(in_layout(tensors, OFFICIAL)) == list(tensors)


@pytest.mark.parametrize(
    ("name", "width", "depth", "heads", "mlp", "hidden", "millions"),
    [
        ("small", 384, 12, 6, "gelu", 1536, 22.1),
        ("base", 768, 12, 12, "gelu", 3072, 86.6),
        ("large", 1024, 24, 16, "gelu", 4096, 304.4),
        ("giant", 1536, 40, 24, "swiglu", 4096, 1136.5),
    ],
)
def test_the_familys_parameters_are_counted_as_published(
    name: str,
    width: int,
    depth: int,
    heads: int,
    mlp: Literal["gelu", "swiglu"],
    hidden: int,
    millions: float,
) -> None:
    config = ViTConfig(width=width, depth=depth, heads=heads, hidden=hidden, mlp=mlp, patch=14, grid=37)

    assert config.parameters / 1e6 == pytest.approx(millions, abs=0.06), name


def test_folding_calls_no_blas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_args: object, **_kwargs: object) -> NoReturn:
        raise AssertionError("a matrix product before the workers fork")

    path = write_tiny_checkpoint(tmp_path / "m.safetensors")
    for product in ("matmul", "dot", "vdot", "inner", "tensordot"):
        monkeypatch.setattr(np, product, forbidden)

    with open_weights(path) as weights:
        fold(weights)


def test_the_bundled_checkpoint_needs_no_other_file() -> None:
    from config import BUNDLED_WEIGHTS

    encoder = load_encoder(BUNDLED_WEIGHTS)

    assert (encoder.config.width, encoder.config.depth, encoder.config.heads) == (384, 12, 6)
    assert (encoder.geometry.resize, encoder.geometry.crop) == (98, 98)
    assert encoder.positions == "transformers"
    assert encoder.encode_arrays(random_pixels(1, 3, 98, 98)).shape == (1, 384)
