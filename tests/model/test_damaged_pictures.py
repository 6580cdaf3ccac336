"""Files damaged outside their pixels or at their end: used as far as browsers show them, and marked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.errors import PictureError
from model.pictures import DAMAGED, open_rgb, probe
from tests.support import pictures

SIZE = (320, 240)


def noisy() -> Image.Image:
    """Return a picture whose bytes are spread evenly over its rows."""
    noise = np.random.default_rng(12).integers(0, 60, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(np.asarray(pictures.scene(*SIZE)) // 2 + noise + 20)


PICTURE = noisy()
JPEG = pictures.encoded(PICTURE, "JPEG", quality=90)
PROGRESSIVE = pictures.encoded(PICTURE, "JPEG", quality=90, progressive=True)
PNG = pictures.encoded(PICTURE, "PNG")
BMP = pictures.encoded(PICTURE, "BMP")
GIF = pictures.encoded(PICTURE.quantize(64), "GIF")
AVIF, HEIF = (pictures.encoded(PICTURE, kind) for kind in ("AVIF", "HEIF"))
AFTER_HEADER = 33  # bytes of PNG


def chunk(kind: bytes, data: bytes, *, wrong: bool = False) -> bytes:
    whole = pictures.png_chunk(kind, data)
    return whole[:-1] + bytes([whole[-1] ^ wrong])


def inserted(*chunks: bytes) -> bytes:
    return PNG[:AFTER_HEADER] + b"".join(chunks) + PNG[AFTER_HEADER:]


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def pixels(data: bytes) -> NDArray[np.int_]:
    return np.asarray(open_rgb(data), int)


HARMLESS = {
    "text with wrong checksum": inserted(chunk(b"tEXt", b"Author\0somebody", wrong=True)),
    "profile with wrong checksum": inserted(chunk(b"iCCP", b"profile\0\0rubbish", wrong=True)),
    "profile that cannot be unpacked": inserted(chunk(b"iCCP", b"profile\0\0rubbish")),
    "pixels with wrong checksum": PNG[:-16] + bytes([PNG[-16] ^ 1]) + PNG[-15:],
    "PNG without its end": PNG[:-12],
    "JPEG without its end": JPEG[:-2],
    "JPEG behind a line break": b"\r\n" + JPEG,
    "PNG behind a line break": b"\n" + PNG,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_damage_outside_the_pixels_costs_nothing_but_a_mark(name: str) -> None:
    data = HARMLESS[name]
    sound = JPEG if "JPEG" in name else PNG
    assert probe(data) == probe(sound)
    assert open_rgb(data).info == {DAMAGED: True}
    assert open_rgb(sound).info == {}
    assert (pixels(data) == pixels(sound)).all()


@pytest.mark.parametrize("data", [JPEG, PNG, BMP], ids=["JPEG", "PNG", "BMP"])
def test_nine_tenths_of_a_picture_are_used_and_half_of_it_is_refused(data: bytes) -> None:
    most = cut(data, 0.9)
    assert open_rgb(most).info == {DAMAGED: True}
    same = (abs(pixels(most) - pixels(data)) <= 2).all(axis=(1, 2))
    assert 0.85 < same.mean() < 0.95
    with pytest.raises(PictureError, match="more than a quarter of it is missing") as caught:
        open_rgb(cut(data, 0.5))
    assert caught.value.code == "broken"


def test_half_of_a_progressive_jpeg_is_the_whole_picture_less_sharp() -> None:
    half = cut(PROGRESSIVE, 0.5)
    assert open_rgb(half).info == {DAMAGED: True}
    assert abs(pixels(half) - pixels(PROGRESSIVE)).mean() < 12


def test_a_jpeg_cut_off_is_recognised_when_it_is_decoded_smaller_too() -> None:
    assert open_rgb(cut(JPEG, 0.9), short_side=60).info == {DAMAGED: True}
    with pytest.raises(PictureError):
        open_rgb(cut(JPEG, 0.5), short_side=60)


def test_bytes_behind_the_end_are_no_damage() -> None:
    for data in (JPEG, PNG, GIF):
        assert open_rgb(data + b"more" * 100).info == {}


def branded(data: bytes, brand: bytes) -> bytes:
    end = int.from_bytes(data[:4], "big")
    return data[:8] + brand + data[12:16] + brand * ((end - 16) // 4) + data[end:]


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"MA1A", b"heif", b"none"])
def test_heif_and_avif_are_told_apart_by_what_is_inside_whatever_the_brand(brand: bytes) -> None:
    for data in (HEIF, AVIF):
        assert probe(branded(data, brand)) == probe(data)
        assert (pixels(branded(data, brand)) == pixels(data)).all()


def test_a_film_is_not_taken_for_a_picture() -> None:
    film = branded(HEIF, b"isom").replace(b"meta", b"moov")
    with pytest.raises(PictureError) as caught:
        probe(film)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("after", [False, True])
def test_a_png_is_turned_by_exif_before_and_behind_its_pixels(after: bool) -> None:
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 6
    block = pictures.png_chunk(b"eXIf", exif.tobytes()[6:])
    lying = pictures.encoded(PICTURE.transpose(Image.Transpose.ROTATE_90), "PNG")
    at = len(lying) - 12 if after else AFTER_HEADER
    data = lying[:at] + block + lying[at:]
    assert probe(data)[1:] == open_rgb(data).size == SIZE
    assert (pixels(data) == np.asarray(PICTURE)).all()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth_becomes_white(depth: int) -> None:
    levels = 1 << depth
    values = list(range(0, levels, max(1, levels // 16)))[:16] * 8
    data = b"".join(
        bytes([0])
        + int("".join(f"{v:0{depth}b}" for v in values), 2).to_bytes(len(values) * depth // 8, "big")
        for _ in range(8)
    )
    clear = values[1] if depth > 1 else 1
    image = pictures.png(
        len(values), 8, data, depth=depth, colour=0, before=[(b"tRNS", clear.to_bytes(2, "big"))]
    )
    expected = [255 if v == clear else round(v * 255 / (levels - 1)) for v in values]
    assert [
        red for red, _, _ in open_rgb(image).crop((0, 0, len(values), 1)).get_flattened_data()
    ] == expected


def test_one_of_the_65_536_greys_being_transparent_leaves_its_neighbours() -> None:
    row = b"\0" + np.arange(0x1200, 0x1300, dtype=">u2").tobytes()
    image = open_rgb(pictures.png(256, 1, row, depth=16, colour=0, before=[(b"tRNS", b"\x12\x34")]))
    white = [at for at in range(256) if image.getpixel((at, 0)) == (255, 255, 255)]
    assert white == [0x34]


def test_a_gif_whose_first_frame_is_smaller_than_the_canvas_is_white_around_it() -> None:
    small = Image.new("P", (10, 8), 1)
    small.putpalette([9, 9, 9, 200, 30, 30])
    data = bytearray(pictures.encoded(small, "GIF"))
    data[6:10] = (40).to_bytes(2, "little") + (30).to_bytes(2, "little")
    image = open_rgb(bytes(data))
    assert image.size == probe(bytes(data))[1:] == (40, 30)
    assert image.getpixel((5, 5)) == (200, 30, 30)
    assert image.getpixel((20, 20)) == image.getpixel((5, 20)) == (255, 255, 255)
