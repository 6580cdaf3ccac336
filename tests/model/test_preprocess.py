"""The three modes of preprocessing, and the sizes that a checkpoint was trained for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from model import CheckpointError, PictureError
from model.config import PreprocessMode
from model.network.functional import Array
from model.preprocess import (
    MEAN,
    STD,
    Geometry,
    center_crop,
    normalise,
    official,
    prepare,
    read_geometry,
    resize_short_side,
)
from tests.support.goldens import golden_picture


def levels(array: Array) -> Array:
    return np.round((array * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]) * 255, 2)


def test_normalising_is_the_textbook_formula() -> None:
    picture = golden_picture(20, 30)
    expected = (np.asarray(picture) / 255 - MEAN) / STD

    array = normalise(picture)

    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    np.testing.assert_allclose(array, expected.transpose(2, 0, 1), rtol=0, atol=1e-6)


class TestOfficial:
    @pytest.mark.parametrize("size", [(400, 300), (300, 400), (50, 60), (224, 224), (1, 1)])
    def test_gives_a_square_of_any_picture(self, size: tuple[int, int]) -> None:
        assert official(Image.new("RGB", size)).shape == (3, 224, 224)

    def test_keeps_the_centre(self) -> None:
        picture = Image.new("RGB", (512, 256))
        picture.paste((255, 255, 255), (144, 16, 368, 240))

        assert (levels(official(picture)) == 255).all()

    @pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1), (20, 3000)])
    def test_does_not_resize_a_line_to_a_huge_picture(
        self, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = []
        resize = Image.Image.resize
        monkeypatch.setattr(
            Image.Image, "resize", lambda *args, **kw: sizes.append(args[1]) or resize(*args, **kw)
        )

        array = official(Image.new("RGB", size, (10, 20, 30)))

        assert sizes == [(224, 224)]
        np.testing.assert_allclose(levels(array).mean(axis=(1, 2)), (10, 20, 30), atol=0.01)

    @pytest.mark.parametrize("size", [(64, 600), (601, 60)])
    def test_a_long_picture_looks_as_if_it_were_resized_whole(self, size: tuple[int, int]) -> None:
        picture = golden_picture(*size)
        short, long = min(size), max(size)
        scaled = int(256 * long / short)
        whole = picture.resize(
            (256, scaled) if size[0] < size[1] else (scaled, 256), Image.Resampling.BICUBIC
        )

        difference = levels(official(picture)) - levels(center_crop(whole))

        assert np.abs(difference).mean() < 1


class TestCenterCrop:
    def test_takes_pixels_as_they_are(self) -> None:
        picture = golden_picture(101, 80)

        array = center_crop(picture, 28)

        np.testing.assert_allclose(
            levels(array), np.asarray(picture)[26:54, 36:64].transpose(2, 0, 1), atol=0.01
        )

    def test_pads_with_black(self) -> None:
        array = levels(center_crop(Image.new("RGB", (10, 40), (255, 255, 255)), 28))

        assert (array[:, :, 9:19] == 255).all()
        assert (np.delete(array, range(9, 19), axis=2) == 0).all()


class TestResizeShortSide:
    @pytest.mark.parametrize(
        ("size", "shape"),
        [
            ((640, 480), (224, 294)),
            ((480, 640), (294, 224)),
            ((100, 100), (224, 224)),
            ((1000, 999), (224, 224)),
            ((30, 480), (3584, 224)),
        ],
    )
    def test_floors_both_sides_to_multiples(self, size: tuple[int, int], shape: tuple[int, ...]) -> None:
        assert resize_short_side(Image.new("RGB", size)).shape == (3, *shape)

    def test_keeps_the_whole_picture(self) -> None:
        picture = Image.new("RGB", (300, 100), (255, 255, 255))
        picture.paste((0, 0, 0), (0, 0, 10, 100))

        array = levels(resize_short_side(picture))

        assert array[0, 100, 5] < 30
        assert array[0, 100, -5] == 255

    @pytest.mark.parametrize("size", [(1, 17), (10_000, 1)])
    def test_refuses_a_line(self, size: tuple[int, int]) -> None:
        with pytest.raises(PictureError, match="one side may be at most 16 times the other") as refused:
            resize_short_side(Image.new("RGB", size))
        assert refused.value.code == "too_many_pixels"


@pytest.mark.parametrize(
    ("mode", "shape"), [("official", (98, 98)), ("center_crop", (98, 98)), ("resize_short_side", (98, 196))]
)
def test_every_mode_uses_the_sizes_of_the_model(mode: PreprocessMode, shape: tuple[int, int]) -> None:
    assert prepare(golden_picture(300, 150), mode, Geometry(112, 98), 14).shape == (3, *shape)


CONFIG = {"size": {"shortest_edge": 448}, "crop_size": {"height": 392, "width": 392}}


class TestGeometry:
    def test_of_dinov2_is_256_and_224(self) -> None:
        assert read_geometry({}, {}, grid=37, patch=14) == Geometry(256, 224)

    def test_of_another_table_is_in_dinov2s_proportion(self) -> None:
        assert read_geometry({}, {}, grid=7, patch=14) == Geometry(112, 98)

    def test_comes_from_the_preprocessors_config(self) -> None:
        assert read_geometry(CONFIG, {}, grid=37, patch=14) == Geometry(448, 392)

    def test_comes_from_the_files_metadata_first(self) -> None:
        assert read_geometry(CONFIG, {"resize": "112", "crop": "98"}, grid=37, patch=14) == Geometry(112, 98)

    @pytest.mark.parametrize(
        ("preprocessor", "metadata", "complaint"),
        [
            ({"size": 3}, {}, "cannot be read"),
            ({}, {"resize": "x", "crop": "98"}, "cannot be read"),
            ({}, {"resize": "98", "crop": "112"}, "resize 98 and crop 112 are invalid"),
            ({}, {"resize": "112", "crop": "100"}, "not a multiple of the patch size"),
            ({**CONFIG, "image_mean": [0.5, 0.5, 0.5]}, {}, "has image_mean"),
        ],
    )
    def test_that_is_invalid_is_refused(
        self, preprocessor: dict[str, Any], metadata: dict[str, str], complaint: str
    ) -> None:
        with pytest.raises(CheckpointError, match=complaint):
            read_geometry(preprocessor, metadata, grid=37, patch=14)
