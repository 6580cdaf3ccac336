"""TIFF in every layout: decoded to the right colours, or refused as unsupported, never taken for damaged."""

from __future__ import annotations

import contextlib
import io
import struct
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from model.errors import PictureError
from model.pictures import open_rgb, probe
from tests.support.galleries import picture
from tests.support.tiffs import BLACK_IS_ZERO, INK, LAB, PALETTE, RGB, WHITE_IS_ZERO, tiff, with_directory

SIZE = (67, 45)
PICTURE = picture(0, SIZE)
COLOUR = np.asarray(PICTURE)
GREY = np.asarray(PICTURE.convert("L"))[..., None]
CLEAR = np.full((SIZE[1], SIZE[0], 1), 65535, np.uint16)
LAYOUTS = [
    pytest.param({"order": order, "planes": planes, "packed": packed, "tile": tile}, id=name)
    for order, byte_order in (("<", "little"), (">", "big"))
    for planes in (False, True)
    for packed in (False, True)
    for tile in (0, 32)
    for name in [
        "-".join([byte_order, *(["planes"] * planes), *(["packed"] * packed), *(["tiles"] * bool(tile))])
    ]
]


def wide(samples: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return samples.astype(np.uint16) * 257


def close(data: bytes, expected: NDArray[np.uint8], tolerance: int = 2) -> bool:
    found = np.asarray(open_rgb(data), int)
    return probe(data) == ("TIFF", *SIZE) and bool((abs(found - expected) <= tolerance).all())


def alike(samples: NDArray[np.generic], *more: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.concatenate([samples, *more], axis=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_colour_of_8_and_16_bits_is_right_in_every_layout(layout: dict[str, Any]) -> None:
    assert close(tiff(COLOUR, RGB, **layout), COLOUR)
    assert close(tiff(wide(COLOUR), RGB, **layout), COLOUR)
    assert close(tiff(alike(wide(COLOUR), CLEAR), RGB, extras=(2,), **layout), COLOUR)
    assert close(tiff(alike(wide(COLOUR), CLEAR * 0), RGB, extras=(0,), **layout), COLOUR)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_premultiplied_colour_is_laid_on_white_once(layout: dict[str, Any]) -> None:
    half = np.full((SIZE[1], SIZE[0], 1), 128, np.uint8)
    expected = 255 - (255 - COLOUR.astype(int)) * 128 // 255
    assert close(tiff(alike(COLOUR // 2, half), RGB, extras=(1,), **layout), expected, tolerance=4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_grey_with_transparency_is_right_in_every_layout(layout: dict[str, Any]) -> None:
    assert close(tiff(alike(GREY, CLEAR.astype(np.uint8)), BLACK_IS_ZERO, extras=(2,), **layout), GREY)
    assert close(tiff(alike(wide(GREY), CLEAR), BLACK_IS_ZERO, extras=(2,), **layout), GREY)
    assert close(tiff(alike(wide(GREY), CLEAR, CLEAR), BLACK_IS_ZERO, extras=(2, 0), **layout), GREY)
    assert close(tiff(alike(wide(255 - GREY), CLEAR), WHITE_IS_ZERO, extras=(2,), **layout), GREY)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ink_and_lab_are_right_in_every_layout(layout: dict[str, Any]) -> None:
    ink = PICTURE.convert("CMYK")
    expected = np.asarray(ink.convert("RGB"))
    assert close(tiff(np.asarray(ink), INK, **layout), expected)
    assert close(tiff(wide(np.asarray(ink)), INK, **layout), expected)
    profiles = [ImageCms.createProfile(space) for space in ("sRGB", "LAB")]
    lab = np.asarray(ImageCms.profileToProfile(PICTURE, *profiles, outputMode="LAB"))
    assert close(tiff(lab, LAB, **layout), COLOUR, tolerance=30)
    assert close(tiff(lab.astype(np.uint16) * 256, LAB, **layout), COLOUR, tolerance=30)


@pytest.mark.parametrize("layout", [each for each in LAYOUTS if "planes" not in each.id])
@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(wide(GREY), id="16-bit"),
        pytest.param(GREY.astype(np.uint32), id="32-bit"),
        pytest.param(GREY.astype(np.uint32) * 16_843_009, id="32-bit-full-range"),
        pytest.param((GREY / 255).astype(np.float32), id="float"),
        pytest.param(GREY / 255, id="double"),
    ],
)
def test_wide_grey_is_right_in_every_layout_and_inverted_where_white_is_zero(
    layout: dict[str, Any], samples: NDArray[Any]
) -> None:
    assert close(tiff(samples, BLACK_IS_ZERO, **layout), GREY)
    if top := {"u2": 65535, "f4": 1, "f8": 1}.get(samples.dtype.str[1:]):  # 32-bit integers have no white
        assert close(tiff((top - samples).astype(samples.dtype), WHITE_IS_ZERO, **layout), GREY)


@pytest.mark.parametrize("scale", [257, 1])
def test_a_palette_of_16_or_8_bit_values_gives_the_right_colours(scale: int) -> None:
    paletted = PICTURE.quantize(256)
    colours = np.zeros((256, 3), int)
    listed = np.array(paletted.getpalette()).reshape(-1, 3)
    colours[: len(listed)] = listed
    more = [(320, 3, (colours.T.reshape(-1) * scale).tolist())]
    expected = np.asarray(paletted.convert("RGB"))
    assert close(tiff(np.asarray(paletted)[..., None], PALETTE, more=more), expected)


def test_12_bit_grey_is_scaled_to_its_own_white() -> None:
    values = [0, 4095, 2048, 1024]
    data = b"".join(
        bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255))
        for a, b in zip(values[::2], values[1::2], strict=True)
    )
    tags = [(256, 3, [4]), (257, 3, [1]), (258, 3, [12]), (259, 3, [1]), (262, 3, [1])]
    tags += [(273, 4, [8]), (277, 3, [1]), (278, 3, [1]), (279, 4, [6])]
    image = open_rgb(with_directory(data, tags))
    assert [red for red, _, _ in image.get_flattened_data()] == [0, 255, 128, 64]


@pytest.mark.parametrize(
    ("samples", "meaning"),
    [
        pytest.param((COLOUR / 255).astype(np.float32), RGB, id="float-colour"),
        pytest.param((GREY / 255).astype(np.float16), BLACK_IS_ZERO, id="half-precision"),
        pytest.param(COLOUR.astype(np.uint32), RGB, id="32-bit-colour"),
        pytest.param(COLOUR.astype(np.int8), RGB, id="signed-colour"),
        pytest.param(GREY, 32803, id="sensor-data"),
        pytest.param(GREY, 4, id="mask"),
        pytest.param(wide(GREY), PALETTE, id="16-bit-palette"),
    ],
)
@pytest.mark.parametrize("planes", [False, True])
def test_what_cannot_be_decoded_right_is_called_unsupported_and_not_damaged(
    samples: NDArray[Any], meaning: int, planes: bool
) -> None:
    data = tiff(samples, meaning, planes=planes)
    for door in (probe, open_rgb):
        with pytest.raises(PictureError, match="this kind of TIFF is not supported") as caught:
            door(data)
        assert caught.value.code == "unsupported_kind"


def crowded(tag: int, kind: int, count: int, width: int) -> bytes:
    """Return a picture of one grey pixel with a tag of `count` values."""
    tags = [(256, 3, [1]), (257, 3, [1]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1]), (277, 3, [1])]
    tags += [(273, 4, [8]), (278, 3, [1]), (279, 4, [1])]
    plain = with_directory(b"\x80" + bytes(7), [each for each in tags if each[0] != tag])
    start = struct.unpack("<I", plain[4:8])[0]
    entries = [plain[at : at + 12] for at in range(start + 2, len(plain) - 4, 12)]
    entries.append(struct.pack("<HHII", tag, kind, count, len(plain) + 16))
    body = b"".join(sorted(entries, key=lambda each: struct.unpack("<H", each[:2])))
    directory = struct.pack("<H", len(entries)) + body + bytes(4)
    return (plain[:start] + directory).ljust(len(plain) + 16, b"\0") + bytes(count * width)


@pytest.mark.parametrize(
    ("tag", "kind", "width"),
    [
        pytest.param(273, 4, 4, id="strips"),
        pytest.param(282, 5, 8, id="resolution"),
        pytest.param(258, 3, 2, id="bits"),
        pytest.param(320, 3, 2, id="palette"),
        pytest.param(34665, 4, 4, id="exif"),
    ],
)
def test_a_tag_of_a_million_values_takes_no_time(tag: int, kind: int, width: int) -> None:
    data = crowded(tag, kind, 1_000_000, width)
    for door in (probe, open_rgb):
        began = time.process_time()
        with contextlib.suppress(PictureError):
            door(data)
        assert time.process_time() - began < 0.1


def test_a_directory_of_too_many_entries_is_refused() -> None:
    data = b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12 * 65535)
    with pytest.raises(PictureError, match="65,535 entries"):
        probe(data)


def test_of_many_pictures_in_a_file_the_first_is_decoded_from_a_big_tiff_too() -> None:
    file = io.BytesIO()
    PICTURE.save(file, "TIFF", big_tiff=True, save_all=True, append_images=[Image.new("RGB", SIZE)])
    assert close(file.getvalue(), COLOUR)
