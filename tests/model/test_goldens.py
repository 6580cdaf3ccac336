"""The encoder compared with PyTorch and transformers, by arrays that `tests.goldens.make` wrote."""

from __future__ import annotations

import numpy as np
import pytest

from model.config import PositionMode
from model.network.positions import antialiased_bicubic_matrix, bicubic_matrix, resample
from model.preprocess import MEAN, STD, center_crop, official
from tests.support.checkpoints import BASE, KINDS, Tensors, build_vit, random_pixels, random_tensors
from tests.support.goldens import (
    BASE_SIZES,
    BICUBIC_CASES,
    KIND_SHAPES,
    PROCESSED,
    bicubic_table,
    distances,
    golden,
    golden_picture,
    numbers_digest,
)

MODES = ["transformers", "official"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", range(len(KIND_SHAPES)))
def test_every_kind_gives_pytorchs_tokens(kind: str, mode: PositionMode, index: int) -> None:
    vit = build_vit(KINDS[kind], random_tensors(KINDS[kind]), mode)

    tokens = vit.forward(random_pixels(*KIND_SHAPES[index]), patches=True)

    one_minus_cosine, largest = distances(tokens, golden("kinds")[f"{kind}-{index}-{mode}"])
    assert one_minus_cosine <= 1e-6
    assert largest <= 2e-5


@pytest.fixture(scope="module")
def base_tensors() -> Tensors:
    tensors = random_tensors(BASE)
    assert numbers_digest(tensors) == str(golden("base")["digest"]), (
        "NumPy generates other random numbers now; run tests.goldens.make again"
    )
    return tensors


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_base_gives_pytorchs_features(base_tensors: Tensors, mode: PositionMode) -> None:
    vit = build_vit(BASE, base_tensors, mode)

    for height, width in BASE_SIZES:
        feature = vit.forward(random_pixels(1, 3, height, width))[0, 0]

        one_minus_cosine, largest = distances(feature, golden("base")[f"{mode}-{height}x{width}"])
        assert one_minus_cosine <= 1e-6, (height, width)
        assert largest <= 1e-4, (height, width)


def test_the_two_position_modes_differ_by_more_than_the_tolerance() -> None:
    arrays = golden("base")

    one_minus_cosine, largest = distances(arrays["official-224x224"], arrays["transformers-224x224"])

    assert one_minus_cosine > 1e-6
    assert largest > 1e-3


@pytest.mark.parametrize("name", BICUBIC_CASES)
def test_bicubic_gives_pytorchs_interpolation(name: str) -> None:
    case, table = BICUBIC_CASES[name], bicubic_table()
    grid = len(table)
    if case.antialias:
        rows, columns = (antialiased_bicubic_matrix(grid, side) for side in (case.height, case.width))
    else:
        rows, columns = (bicubic_matrix(grid, n, grid / (n + case.offset)) for n in (case.height, case.width))

    resampled = resample(table, rows, columns)

    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled, golden("bicubic")[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PROCESSED)
def test_preprocessing_gives_the_image_processors_pixels(name: str) -> None:
    case = PROCESSED[name]
    picture = golden_picture(case.width, case.height)

    array = (
        official(picture, case.resize, case.crop)
        if case.mode == "official"
        else center_crop(picture, case.crop)
    )

    assert array.dtype == np.float32
    levels = (array * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]) * 255
    np.testing.assert_allclose(levels, golden("preprocess")[name], rtol=0, atol=1e-3)
