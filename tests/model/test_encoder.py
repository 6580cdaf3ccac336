"""The encoder: features, fingerprints, batches, and modes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model import CheckpointError, Encoder, Fingerprint, PictureError, load_encoder
from model.config import PreprocessMode
from model.files import sha256_file
from tests.support.checkpoints import KINDS, write_checkpoint, write_tiny_checkpoint
from tests.support.goldens import golden_picture


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> Encoder:
    return load_encoder(checkpoint)


def test_an_encoder_describes_itself(encoder: Encoder, checkpoint: Path) -> None:
    assert encoder.name == "tiny"
    assert encoder.dim == 64
    assert encoder.config == KINDS["plain"]
    assert (encoder.preprocess, encoder.positions) == ("official", "official")
    assert encoder.fingerprint == Fingerprint(
        sha256_file(checkpoint), "official-80-70-from-320-decoding-2", "official", 64
    )


def test_features_are_float32_rows_in_the_pictures_order(encoder: Encoder) -> None:
    pictures = [golden_picture(90 + step, 100) for step in range(5)]

    features = encoder.encode(pictures, batch_size=2)

    assert features.shape == (5, 64)
    assert features.dtype == np.float32
    for picture, feature in zip(pictures, features, strict=True):
        np.testing.assert_allclose(encoder.encode([picture])[0], feature, rtol=0, atol=1e-5)


def test_features_are_not_normalised(encoder: Encoder) -> None:
    norms = np.linalg.norm(encoder.encode([golden_picture(90, 80)]), axis=1)

    assert abs(norms - 1).min() > 0.1


def test_pictures_of_mixed_shapes_keep_their_order(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint, preprocess="resize_short_side")
    sizes = [(100, 100), (150, 100), (100, 150), (101, 100), (151, 100), (200, 90)]
    pictures = [golden_picture(*size) for size in sizes]
    batches = []
    encode_arrays = encoder.encode_arrays
    encoder.encode_arrays = lambda batch: batches.append(batch.shape) or encode_arrays(batch)

    features = encoder.encode(pictures, batch_size=4)

    assert sorted(shape[0] for shape in batches) == [1, 1, 2, 2]
    for picture, feature in zip(pictures, features, strict=True):
        np.testing.assert_allclose(
            encode_arrays(encoder.prepare(picture)[None])[0], feature, rtol=0, atol=1e-5
        )


def test_pictures_are_read_lazily(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint)
    made = []

    def pictures() -> Iterator[Image.Image]:
        for index in range(100):
            made.append(index)
            yield golden_picture(70, 70)

    sizes = []
    encode_arrays = encoder.encode_arrays
    encoder.encode_arrays = lambda batch: sizes.append((len(made), len(batch))) or encode_arrays(batch)

    encoder.encode(pictures(), batch_size=10)

    assert sizes[:2] == [(10, 10), (20, 10)]


def test_pictures_of_rare_shapes_do_not_accumulate(checkpoint: Path) -> None:
    encoder = load_encoder(checkpoint, preprocess="resize_short_side")
    drawn, encoded = [], []
    encode_arrays = encoder.encode_arrays
    encoder.encode_arrays = lambda batch: encoded.extend(range(len(batch))) or encode_arrays(batch)

    def pictures() -> Iterator[Image.Image]:
        for index in range(30):
            drawn.append(index)
            assert len(drawn) - len(encoded) <= 8
            yield Image.new("RGB", (70 + 14 * index, 70))

    assert encoder.encode(pictures(), batch_size=2).shape == (30, 64)


def test_a_large_jpeg_is_decoded_smaller_and_its_feature_hardly_changes(
    encoder: Encoder, checkpoint: Path, tmp_path: Path
) -> None:
    golden_picture(1600, 1300).save(tmp_path / "large.jpg", quality=95)

    reduced = encoder.decode(tmp_path / "large.jpg")

    assert reduced.size == (400, 325)
    features = encoder.encode([reduced, tmp_path / "large.jpg"])  # a path is decoded in full
    cosine = features[0] @ features[1] / np.prod(np.linalg.norm(features, axis=1))
    assert 0 < 1 - cosine < 1e-3


@pytest.mark.parametrize(
    ("preprocess", "short_side", "expected"),
    [
        ("official", 320, "official-80-70-from-320-decoding-2"),
        ("resize_short_side", 320, "resize_short_side-70-from-320-decoding-2"),
        ("center_crop", None, "center_crop-70-decoding-2"),
    ],
)
def test_the_fingerprint_tells_how_far_a_jpeg_is_reduced(
    checkpoint: Path, preprocess: PreprocessMode, short_side: int | None, expected: str
) -> None:
    encoder = load_encoder(checkpoint, preprocess=preprocess)

    assert encoder.short_side == short_side
    assert encoder.fingerprint.preprocess == expected


def test_no_pictures_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 64)


def test_paths_are_opened_upright_and_on_white(encoder: Encoder, tmp_path: Path) -> None:
    picture = golden_picture(90, 80)
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise when shown
    turned.save(tmp_path / "turned.png", exif=exif)
    translucent = picture.convert("RGBA")
    translucent.putalpha(0)
    translucent.save(tmp_path / "translucent.png")

    features = encoder.encode([tmp_path / "turned.png", str(tmp_path / "translucent.png")])

    np.testing.assert_allclose(features[0], encoder.encode([picture])[0], rtol=0, atol=1e-5)
    white = Image.new("RGB", picture.size, (255, 255, 255))
    np.testing.assert_allclose(features[1], encoder.encode([white])[0], rtol=0, atol=1e-5)


def test_a_broken_picture_raises_a_picture_error(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")

    with pytest.raises(PictureError) as refused:
        encoder.encode([tmp_path / "broken.jpg"])
    assert refused.value.code == "broken"


def test_patches_come_with_the_cls_feature_in_one_pass(checkpoint: Path, tmp_path: Path) -> None:
    for kind in ("plain", "registers"):
        path = write_checkpoint(tmp_path / f"{kind}.safetensors", KINDS[kind])
        encoder = load_encoder(path, preprocess="resize_short_side")
        picture = golden_picture(150, 100)

        cls, patches = encoder.encode_with_patches(picture)

        assert patches.shape == (5, 7, 64)
        np.testing.assert_allclose(cls, encoder.encode([picture])[0], rtol=0, atol=5e-6)
        tokens = encoder._vit.forward(encoder.prepare(picture)[None], patches=True)[0]
        np.testing.assert_array_equal(patches[0, 0], tokens[encoder.config.prefix])
        np.testing.assert_array_equal(patches[4, 6], tokens[-1])


def test_modes_are_part_of_the_fingerprint(checkpoint: Path) -> None:
    fingerprints = {
        load_encoder(checkpoint, preprocess=preprocess, positions=positions).fingerprint
        for preprocess in ("official", "center_crop", "resize_short_side")
        for positions in ("official", "transformers")
    }

    assert len(fingerprints) == 6


def test_other_weights_have_another_fingerprint(encoder: Encoder, tmp_path: Path) -> None:
    other = write_tiny_checkpoint(tmp_path / "tiny.safetensors", seed=1)

    assert load_encoder(other).fingerprint != encoder.fingerprint


def test_a_fingerprint_survives_json(encoder: Encoder) -> None:
    assert Fingerprint.from_dict(encoder.fingerprint.as_dict()) == encoder.fingerprint


@pytest.mark.parametrize("change", [{"dim": "64"}, {"dim": True}, {"more": 1}])
def test_an_invalid_fingerprint_is_refused(encoder: Encoder, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a fingerprint"):
        Fingerprint.from_dict(encoder.fingerprint.as_dict() | change)
    with pytest.raises(ValueError, match="not a fingerprint"):
        Fingerprint.from_dict({})


@pytest.mark.parametrize("modes", [{"preprocess": "stretch"}, {"positions": "linear"}])
def test_an_unknown_mode_is_refused(checkpoint: Path, modes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="it must be one of"):
        load_encoder(checkpoint, **modes)


def test_sizes_come_from_the_preprocessors_config_beside_the_file(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "m.safetensors")
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": {"shortest_edge": 60}, "crop_size": {"height": 42, "width": 42}}'
    )

    encoder = load_encoder(path)

    assert encoder.prepare(golden_picture(90, 80)).shape == (3, 42, 42)
