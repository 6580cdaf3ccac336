"""The network compared with transformers and the operations of dinov2, computed in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from config import BUNDLED_WEIGHTS
from model import load_encoder
from model.checkpoints.layouts import LAYOUTS, Layout
from model.compare import compare, transformers_features, transformers_model
from model.config import PositionMode
from model.network.functional import Array
from tests.support.checkpoints import (
    BASE,
    KINDS,
    build_vit,
    memory_weights,
    random_pixels,
    random_tensors,
    write_checkpoint,
)
from tests.support.goldens import BASE_SIZES, distances, golden_picture

torch = pytest.importorskip("torch", reason="make parity installs PyTorch")
pytest.importorskip("transformers", reason="make parity installs transformers")
from tests.support.peers import official_tokens, transformers_tokens  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

REFERENCES = {"transformers": transformers_tokens, "official": official_tokens}


def assert_exact(found: Array, expected: Array) -> None:
    one_minus_cosine, largest = distances(found, expected)
    assert one_minus_cosine <= 1e-6
    assert largest <= 1e-4


@pytest.mark.parametrize("mode", REFERENCES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 3, 70, 70), (3, 3, 28, 98), (2, 3, 140, 126)], ids=str)
def test_every_kind_agrees_on_every_token(kind: str, mode: PositionMode, shape: tuple[int, ...]) -> None:
    config, tensors, pixels = KINDS[kind], random_tensors(KINDS[kind], seed=5), random_pixels(*shape)

    tokens = build_vit(config, tensors, mode).forward(pixels, patches=True)

    assert_exact(tokens, REFERENCES[mode](config, tensors, pixels))


@pytest.mark.parametrize("mode", REFERENCES)
@pytest.mark.parametrize("size", BASE_SIZES, ids=str)
def test_base_agrees(mode: PositionMode, size: tuple[int, int]) -> None:
    tensors, pixels = random_tensors(BASE, seed=6), random_pixels(1, 3, *size)

    features = build_vit(BASE, tensors, mode).forward(pixels)

    assert_exact(features, REFERENCES[mode](BASE, tensors, pixels)[:, :1])


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_save_pretrained_are_read(kind: str, tmp_path: Path) -> None:
    config, tensors, pixels = KINDS[kind], random_tensors(KINDS[kind]), random_pixels(1, 3, 70, 70)
    transformers_model(memory_weights(config, tensors)).save_pretrained(tmp_path)

    encoder = load_encoder(tmp_path / "model.safetensors", positions="transformers")

    assert encoder.config == config
    assert_exact(encoder.encode_arrays(pixels), transformers_tokens(config, tensors, pixels)[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_torch_save_are_read(kind: str, tmp_path: Path) -> None:
    config, tensors = KINDS[kind], random_tensors(KINDS[kind])
    torch.save(transformers_model(memory_weights(config, tensors)).state_dict(), tmp_path / "memory.pth")
    torch.save(
        {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, tmp_path / "official.pth"
    )
    (tmp_path / "config.json").write_text(f'{{"num_attention_heads": {config.heads}}}')
    pixels = random_pixels(1, 3, 56, 84)

    features = [
        load_encoder(tmp_path / name).encode_arrays(pixels) for name in ("memory.pth", "official.pth")
    ]

    np.testing.assert_array_equal(*features)
    assert_exact(features[0], official_tokens(config, tensors, pixels)[:, 0])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_our_pth_files_are_readable_by_pytorch(layout: Layout, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "tiny.pth", KINDS["swiglu-registers"], layout=layout)

    tensors = torch.load(path, weights_only=True)

    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_the_bundled_model_passes_flask_model_verify() -> None:
    encoder = load_encoder(BUNDLED_WEIGHTS)
    pictures = [golden_picture(300, 200), golden_picture(97, 150)]

    expected = transformers_features(BUNDLED_WEIGHTS, [encoder.prepare(picture) for picture in pictures])

    assert all(row.within() for row in compare(encoder.encode(pictures), expected))
