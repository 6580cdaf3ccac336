"""The gate for pictures: formats, limits, colour and orientation."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from model.errors import PictureError
from model.pictures import (
    BROWSER_FORMATS,
    FORMATS,
    MAX_PIXELS,
    MEDIA_TYPES,
    PictureInfo,
    open_rgb,
    probe,
)
from model.pictures.copies import jpeg
from tests.support import pictures

# Pillow warns of damaged metadata and continues, as it should.
REMARKS = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")


def refused(data: bytes, code: str) -> None:
    """Check that `probe` and `open_rgb` refuse `data` for the same reason."""
    for door in (probe, open_rgb):
        with pytest.raises(PictureError) as caught:
            door(data)
        assert caught.value.code == code, caught.value
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_accepted_format_is_probed_and_decoded(kind: str) -> None:
    data = pictures.encoded(pictures.scene(), kind)
    assert probe(data) == PictureInfo(kind, 64, 48)
    image = open_rgb(data)
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert pictures.same_scene(image)


def test_each_format_has_a_media_type_and_browsers_show_only_known_ones() -> None:
    assert set(MEDIA_TYPES) == set(FORMATS) >= BROWSER_FORMATS
    assert all(media_type.startswith("image/") for media_type in MEDIA_TYPES.values())


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file"])
def test_a_source_is_a_path_bytes_or_an_open_file_which_stays_open(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(pictures.encoded(pictures.scene(), "PNG"))
    with path.open("rb") as file:
        file.seek(7)
        source = {"path": path, "str": str(path), "bytes": path.read_bytes(), "file": file}[kind]
        assert probe(source).format == "PNG"
        assert open_rgb(source).size == (64, 48)
        assert not file.closed


def test_a_file_that_cannot_be_read_is_not_called_a_broken_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_rgb(tmp_path / "missing.png")
    with pytest.raises(IsADirectoryError):
        probe(tmp_path)


def test_a_failing_disk_is_not_called_a_broken_picture() -> None:
    class FailingFile(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 200:
                raise OSError(5, "Input/output error")
            return super().read(min(size or 0, 100))

    with pytest.raises(OSError, match="Input/output error"):
        open_rgb(FailingFile(pictures.encoded(pictures.scene(640, 480), "BMP")))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pictures.png_bomb(6400, 6400), id="png-40-mp"),
        pytest.param(pictures.png_bomb(10_000, 10_000), id="png-100-mp"),
        pytest.param(pictures.gif(10_000, 10_000), id="gif-43-bytes"),
        pytest.param(pictures.gif(65_535, 65_535), id="gif-4-gp"),
        pytest.param(pictures.tiff_bomb(7_000, 7_000), id="tiff-49-mp"),
        pytest.param(pictures.tiff_bomb(1 << 31, 1 << 31), id="tiff-4-ep"),
        pytest.param(pictures.bmp_bomb(30_000, 30_000), id="bmp-900-mp"),
        pytest.param(pictures.webp_bomb(16_383, 16_383), id="webp-268-mp"),
    ],
)
def test_a_decompression_bomb_is_refused_from_its_header(data: bytes) -> None:
    refused(data, "too_many_pixels")


def test_the_limit_of_pixels_is_inclusive_and_callers_can_lower_it() -> None:
    data = pictures.encoded(pictures.scene(100, 80), "PNG")
    assert open_rgb(data, max_pixels=8_000).size == (100, 80)
    for door in (probe, open_rgb):
        with pytest.raises(PictureError, match="100 x 80 pixels; at most 7,999"):
            door(data, max_pixels=7_999)
    assert probe(pictures.gif(8_000, 5_000)) == PictureInfo("GIF", 8_000, 5_000)
    assert MAX_PIXELS == 8_000 * 5_000


def test_probing_does_not_decode_pixels() -> None:
    data = pictures.png(3_000, 3_000, b"these are no pixels")
    assert probe(data) == PictureInfo("PNG", 3_000, 3_000)
    with pytest.raises(PictureError) as caught:
        open_rgb(data)
    assert caught.value.code == "broken"


def test_of_a_million_frames_only_the_first_is_read() -> None:
    file = pictures.CountingFile(pictures.gif(5, 4, frames=1_000_000))
    assert probe(file) == PictureInfo("GIF", 5, 4)
    assert open_rgb(file).size == (5, 4)
    assert file.bytes_read < 200_000


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_shown(kind: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in (pictures.GREEN, pictures.BLUE)]
    data = pictures.encoded(pictures.scene(), kind, save_all=True, append_images=frames)
    assert pictures.same_scene(open_rgb(data))


def test_of_a_multi_picture_jpeg_the_first_is_shown() -> None:
    other = Image.new("RGB", (64, 48), pictures.BLUE)
    data = pictures.encoded(pictures.scene(), "MPO", save_all=True, append_images=[other])
    assert probe(data) == PictureInfo("JPEG", 64, 48)
    assert pictures.same_scene(open_rgb(data))


@pytest.mark.parametrize("bomb", [pictures.png_text_bomb, pictures.png_many_texts, pictures.png_profile_bomb])
def test_a_text_or_profile_bomb_is_refused(bomb: Callable[[], bytes]) -> None:
    data = bomb()
    assert len(data) < 200_000
    refused(data, "broken")


@pytest.mark.parametrize("name", sorted(pictures.foreign_files()))
def test_a_format_that_is_not_accepted_is_refused_under_any_name(name: str, tmp_path: Path) -> None:
    data = pictures.foreign_files()[name]
    refused(data, "unsupported_format")
    path = tmp_path / "innocent.png"
    path.write_bytes(data)
    with pytest.raises(PictureError, match="not one of: JPEG, PNG"):
        probe(path)


def test_a_copy_of_a_polyglot_has_nothing_but_its_pixels() -> None:
    data = pictures.polyglot()
    assert b"<script>" in data
    encoded = jpeg(open_rgb(data), 320)
    assert b"script" not in encoded
    assert probe(encoded).format == "JPEG"


def test_no_other_decoder_ever_sees_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    Image.init()
    monkeypatch.setattr(Image, "ID", ["TRAP", *Image.ID])
    monkeypatch.setitem(Image.OPEN, "TRAP", (lambda *given: seen.append(given), lambda prefix: True))
    for data in (pictures.encoded(pictures.scene(), "PNG"), b"\x89PNG\r\n\x1a\n damaged", b"%!PS"):
        with contextlib.suppress(PictureError):
            open_rgb(data)
    assert seen == []


def test_too_little_memory_is_not_called_a_broken_picture() -> None:
    class HugeFile(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 200:
                raise MemoryError
            return super().read(min(size or 0, 100))

    with pytest.raises(PictureError, match="not enough memory") as caught:
        open_rgb(HugeFile(pictures.encoded(pictures.scene(640, 480), "BMP")))
    assert caught.value.code == "too_many_pixels"


def test_an_empty_file_is_called_empty() -> None:
    refused(b"", "empty")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.05, 0.3, 0.6])
def test_a_picture_that_is_cut_off_far_from_its_end_is_broken(kind: str, part: float) -> None:
    noise = Image.merge("RGB", [Image.effect_noise((300, 200), 60) for _ in range(3)])
    data = pictures.encoded(noise, kind)
    with pytest.raises(PictureError) as caught:
        open_rgb(data[: int(len(data) * part)])
    assert caught.value.code == "broken"
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_picture_is_turned_upright(kind: str, orientation: int) -> None:
    data = pictures.turned(orientation, kind)
    image = open_rgb(data)
    assert pictures.same_scene(image)
    assert probe(data)[1:] == image.size == (64, 48)


@REMARKS
def test_a_damaged_exif_block_does_not_rotate_the_picture() -> None:
    data = pictures.encoded(pictures.scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20))
    assert probe(data) == PictureInfo("JPEG", 64, 48)
    assert pictures.same_scene(open_rgb(data))


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_transparency_becomes_white(mode: str, kind: str) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 4, 8))
    if mode == "PA":
        palette = Image.new("PA", (8, 8), (1, 0))
        palette.putpalette([0, 0, 0, 255, 0, 0])
        palette.paste((0, 255), (0, 0, 4, 8))
        clear = palette
    image = open_rgb(pictures.encoded(clear.convert(mode), kind, lossless=True))
    assert image.getpixel((6, 4)) == (255, 255, 255)
    assert image.getpixel((1, 4)) == (0, 0, 0)


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    image = open_rgb(pictures.encoded(Image.new("RGBA", (2, 2), (0, 100, 200, 128)), "PNG"))
    assert image.getpixel((0, 0)) == (127, 177, 227)


@pytest.mark.parametrize(
    ("mode", "key"), [("1", 0), ("L", 0), ("P", 0), ("P", b"\0\xff"), ("RGB", (0, 0, 0)), ("I;16", 0)]
)
def test_a_transparent_colour_becomes_white(mode: str, key: object) -> None:
    image = Image.new("P" if mode == "P" else "L", (2, 1), 0)
    image.putpixel((1, 0), 1 if mode == "P" else 255)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 0, 0])
    elif mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257 + 0).convert("I;16")
    else:
        image = image.convert(mode)
    opened = open_rgb(pictures.encoded(image, "PNG", transparency=key))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 0)) == ((255, 0, 0) if mode == "P" else (255, 255, 255))


def test_a_transparent_colour_of_16_bits_becomes_white() -> None:
    pixels = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 65535, 0, 0)
    key = (b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    image = open_rgb(pictures.png(2, 1, pixels, depth=16, before=[key]))
    assert list(image.get_flattened_data()) == [(255, 255, 255), (255, 0, 0)]


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    values = [0, 128, 129, 257, 32_896, 65_407, 65_535]
    pixels = b"\0" + struct.pack(f">{len(values)}H", *values)
    image = open_rgb(pictures.png(len(values), 1, pixels, depth=16, colour=0))
    assert [red for red, _, _ in image.get_flattened_data()] == [round(value / 257) for value in values]


def test_16_bit_colour_is_scaled_and_not_clipped() -> None:
    pixels = b"\0" + struct.pack(">6H", 65_535, 32_768, 0, 257, 25_700, 51_400)
    image = open_rgb(pictures.png(2, 1, pixels, depth=16))
    assert list(image.get_flattened_data()) == [(255, 128, 0), (1, 100, 200)]


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("I", [0, 200, 255], [0, 200, 255]),
        ("I", [0, 25_700, 65_535], [0, 100, 255]),
        ("I", [-100, 155, 410], [0, 128, 255]),
        ("I", [1_000_000, 1_000_000, 1_000_000], [0, 0, 0]),
        ("F", [0.0, 0.5, 1.0], [0, 128, 255]),
        ("F", [0.0, 100.0, 255.0], [0, 100, 255]),
        ("F", [-2.0, 0.0, 2.0], [0, 128, 255]),
    ],
)
def test_wide_grey_values_are_scaled_by_the_usual_conventions(
    mode: str, values: list[float], expected: list[int]
) -> None:
    wide = Image.new(mode, (3, 1))
    wide.putdata(values)
    image = open_rgb(pictures.encoded(wide, "TIFF"))
    assert list(image.get_flattened_data()) == [(value, value, value) for value in expected]


def test_values_that_are_not_finite_are_broken() -> None:
    wide = Image.new("F", (3, 1))
    wide.putdata([0.0, float("inf"), 1.0])
    with pytest.raises(PictureError, match="not finite"):
        open_rgb(pictures.encoded(wide, "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_the_right_colours(kind: str) -> None:
    assert pictures.same_scene(open_rgb(pictures.encoded(pictures.scene().convert("CMYK"), kind)))


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_extreme_shapes_are_decoded(size: tuple[int, int], kind: str) -> None:
    data = pictures.encoded(Image.new("RGB", size, pictures.RED), kind)
    image = open_rgb(data, short_side=112)
    assert probe(data)[1:] == image.size == size
    assert max(probe(jpeg(image, 320))[1:]) == min(max(size), 320)


def test_a_jpeg_is_decoded_smaller_but_not_smaller_than_requested() -> None:
    data = pictures.encoded(pictures.scene(1_600, 1_000), "JPEG")
    for short_side in (1, 100, 112, 125, 126, 250, 500, 501, 1_000, 2_000):
        image = open_rgb(data, short_side=short_side)
        assert min(image.size) >= min(short_side, 1_000)
        assert pictures.same_scene(image)
    assert open_rgb(data, short_side=112).size == (200, 125)
    assert open_rgb(data).size == (1_600, 1_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_no_metadata_survives(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 29: "SecretDate"})
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "SecretName")
    options = {"pnginfo": texts} if kind == "PNG" else {"xmp": b"<SecretXmp/>"}
    data = pictures.encoded(
        pictures.scene(), kind, exif=exif.tobytes(), icc_profile=b"SecretProfile" * 20, **options
    )
    assert b"Secret" in data
    image = open_rgb(data)
    assert image.info == {}
    assert not image.getexif()
    encoded = jpeg(image, 48)
    assert not any(
        mark in encoded for mark in (b"Secret", b"Exif", b"http://ns.adobe.com/xap", b"ICC_PROFILE")
    )


def test_a_copy_has_no_metadata_of_the_original() -> None:
    secrets = {"icc_profile": b"SecretProfile" * 20, "comment": b"SecretComment"}
    image = Image.open(io.BytesIO(pictures.encoded(pictures.scene(), "JPEG", **secrets)))
    assert b"Secret" not in jpeg(image, 48)
    assert secrets.keys() <= image.info.keys()


def test_a_copy_fits_and_is_never_enlarged() -> None:
    assert probe(jpeg(pictures.scene(640, 480), 320)) == PictureInfo("JPEG", 320, 240)
    assert probe(jpeg(pictures.scene(64, 48), 320)) == PictureInfo("JPEG", 64, 48)
    assert pictures.same_scene(open_rgb(jpeg(pictures.scene(640, 480), 320)))


def is_refused_or_decoded(data: bytes) -> None:
    for door in (probe, open_rgb):
        with contextlib.suppress(PictureError):
            door(data, max_pixels=1_000_000)


@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # Pillow's remarks on what it found; production prints them
@settings(max_examples=60, deadline=None, derandomize=True)
@given(kind=st.sampled_from(FORMATS), rest=st.binary(max_size=400))
def test_garbage_after_a_valid_beginning_is_refused(kind: str, rest: bytes) -> None:
    is_refused_or_decoded(pictures.encoded(pictures.scene(8, 8), kind)[:32] + rest)


@REMARKS
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes_are_refused_or_decoded_but_never_another_error(
    kind: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(pictures.encoded(pictures.scene(24, 16), kind))
    for place, value in changes:
        data[place % len(data)] = value
    is_refused_or_decoded(bytes(data))


def test_the_gate_loads_neither_numpy_nor_the_heic_libraries() -> None:
    code = "import sys, model.pictures; print({'numpy', 'pillow_heif', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'PIL'}"
