"""Interpolation and preprocessing compared with PyTorch and transformers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from model.network.positions import interpolate_positions
from model.preprocess import MEAN, STD, center_crop, official
from tests.support.goldens import golden_picture

torch = pytest.importorskip("torch", reason="make parity installs PyTorch")
pytest.importorskip("transformers", reason="make parity installs transformers")
from tests.support.peers import image_processor, official_positions  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

PICTURES = [(640, 427), (427, 640), (224, 224), (100, 333), (1000, 255), (257, 256)]
SIZES = [(16, 16), (16, 24), (37, 37), (37, 20), (1, 1), (64, 3)]


@pytest.mark.parametrize("registers", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_official_positions_agree(size: tuple[int, int], registers: bool) -> None:
    table = np.random.default_rng(0).standard_normal((37, 37, 16), dtype=np.float32)

    ours = interpolate_positions(table, *size, mode="official", registers=registers)

    theirs = official_positions(torch.from_numpy(table).reshape(1, -1, 16), *size, registers)
    np.testing.assert_allclose(ours.reshape(1, -1, 16), theirs.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("registers", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_transformers_positions_agree(size: tuple[int, int], registers: bool) -> None:
    table = np.random.default_rng(0).standard_normal((37, 37, 16), dtype=np.float32)

    ours = interpolate_positions(table, *size, mode="transformers", registers=registers)

    channels_first = torch.from_numpy(table).permute(2, 0, 1)[None]
    theirs = torch.nn.functional.interpolate(channels_first, size=size, mode="bicubic", antialias=registers)
    np.testing.assert_allclose(ours, theirs[0].permute(1, 2, 0).numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "size", [(640, 427), (427, 640), (224, 224), (100, 333), (1000, 255), (257, 256)], ids=str
)
@pytest.mark.parametrize("mode", ["official", "center_crop"])
def test_preprocessing_agrees_within_a_grey_level(size: tuple[int, int], mode: str) -> None:
    picture = golden_picture(*size)

    ours = official(picture) if mode == "official" else center_crop(picture)

    processor = image_processor(256, 224, do_resize=mode == "official")
    theirs = np.asarray(processor(picture)["pixel_values"][0])
    scale = 255 * np.array(STD)[:, None, None]
    np.testing.assert_allclose(ours * scale, theirs * scale, rtol=0, atol=1)
    assert theirs.mean() == pytest.approx(ours.mean(), abs=1e-4)


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_become_the_same_numbers(value: int) -> None:
    picture = Image.new("RGB", (300, 260), (value, value, value))

    theirs = np.asarray(image_processor(256, 224)(picture)["pixel_values"][0])

    np.testing.assert_allclose(official(picture), theirs, rtol=0, atol=1e-6)
    assert official(picture)[0, 0, 0] == pytest.approx((value / 255 - MEAN[0]) / STD[0], abs=1e-6)
