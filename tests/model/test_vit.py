"""The network compared with the plain one of `tests.support.reference`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.config import PositionMode
from model.network import vit as module
from model.network.vit import CACHED_TABLES
from tests.support import reference
from tests.support.checkpoints import KINDS, build_vit, random_pixels, random_tensors

pytestmark = pytest.mark.filterwarnings("error")

SHAPES = [(1, 3, 70, 70), (3, 3, 84, 42), (5, 3, 28, 98)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("positions", ["official", "transformers"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_tokens_agree_with_the_reference(
    kind: str, positions: PositionMode, shape: tuple[int, ...]
) -> None:
    config, tensors, pixels = KINDS[kind], random_tensors(KINDS[kind]), random_pixels(*shape)

    tokens = build_vit(config, tensors, positions).forward(pixels, patches=True)

    assert tokens.dtype == np.float32
    np.testing.assert_allclose(
        tokens, reference.forward(config, tensors, pixels, positions), rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_cls_token_alone_is_the_same_as_among_all(kind: str, count: int) -> None:
    vit = build_vit(KINDS[kind], random_tensors(KINDS[kind]))
    pixels = random_pixels(count, 3, 56, 70)

    alone, among = vit.forward(pixels), vit.forward(pixels, patches=True)

    assert alone.shape == (count, 1, KINDS[kind].width)
    np.testing.assert_allclose(alone, among[:, :1], rtol=0, atol=5e-6)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("least", [0, 10**12], ids=["shared", "alone"])
def test_any_number_of_threads_gives_the_same_features(
    threads: int, count: int, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARED_OPERATIONS", least)
    config = KINDS["many-heads"]
    tensors, pixels = random_tensors(config), random_pixels(count, 3, 42, 56)

    tokens = build_vit(config, tensors, threads=threads).forward(pixels, patches=True)

    np.testing.assert_allclose(
        tokens, reference.forward(config, tensors, pixels, "official"), rtol=0, atol=2e-5
    )


def test_a_picture_has_the_same_feature_alone_and_in_a_batch() -> None:
    vit = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]))
    pixels = random_pixels(6, 3, 70, 70)

    batch = vit.forward(pixels)

    for index in range(6):
        np.testing.assert_allclose(vit.forward(pixels[index : index + 1])[0], batch[index], rtol=0, atol=5e-6)


def test_buffers_of_a_larger_picture_do_not_show_in_a_smaller_one() -> None:
    tensors = random_tensors(KINDS["registers"])
    used, fresh = build_vit(KINDS["registers"], tensors), build_vit(KINDS["registers"], tensors)
    small = random_pixels(1, 3, 28, 28)
    used.forward(random_pixels(4, 3, 140, 140), patches=True)

    np.testing.assert_array_equal(used.forward(small), fresh.forward(small))


def test_results_stay_when_the_next_picture_is_encoded() -> None:
    vit = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]))
    first = vit.forward(random_pixels(1, 3, 70, 70), patches=True)
    kept = first.copy()

    vit.forward(random_pixels(1, 3, 70, 70, seed=2), patches=True)

    np.testing.assert_array_equal(first, kept)


def test_large_activations_neither_overflow_nor_warn() -> None:
    config, tensors = KINDS["plain"], random_tensors(KINDS["plain"])
    tensors["blocks.0.mlp.fc1.bias"][:] = np.linspace(-1e4, 1e4, config.hidden, dtype=np.float32)
    tensors["blocks.1.attn.qkv.weight"] *= 30

    features = build_vit(config, tensors).forward(random_pixels(1, 3, 70, 70))

    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    ("pixels", "complaint"),
    [
        (np.zeros((1, 3, 70, 71), np.float32), "multiples of 14, found 70 x 71"),
        (np.zeros((1, 3, 0, 70), np.float32), "multiples of 14"),
        (np.zeros((3, 70, 70), np.float32), "found float32 of shape"),
        (np.zeros((1, 4, 70, 70), np.float32), "found float32 of shape"),
        (np.zeros((1, 3, 70, 70)), "found float64"),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused(pixels: NDArray[Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build_vit(KINDS["plain"], random_tensors(KINDS["plain"])).forward(pixels)


def test_only_the_latest_position_tables_are_kept() -> None:
    vit = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]))
    pixels = random_pixels(1, 3, 28, 42)
    expected = vit.forward(pixels)

    for side in range(14, 14 * 30, 14):
        vit.forward(random_pixels(1, 3, 14, side))

    assert len(vit._tables) == CACHED_TABLES
    np.testing.assert_array_equal(vit.forward(pixels), expected)


def test_an_empty_batch_gives_no_features() -> None:
    vit = build_vit(KINDS["plain"], random_tensors(KINDS["plain"]))

    assert vit.forward(random_pixels(0, 3, 70, 70)).shape == (0, 1, 64)
