"""Unusual but harmless pictures: shown correctly, or refused with a clear message (row 35)."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from gallery.catalog import Catalog, thumbnail_file
from model.pictures import FORMATS, open_rgb
from tests.support import pictures
from tests.support.doors import DOORS, Doors, Visitor
from tests.support.galleries import picture

SCENE = pictures.scene()


def rgb_16(image: Image.Image) -> bytes:
    """Return the picture as a PNG with 16 bits per sample."""
    width, height = image.size
    plain = image.tobytes()
    rows = [plain[start : start + width * 3] for start in range(0, len(plain), width * 3)]
    wide = b"".join(b"\0" + struct.pack(f">{width * 3}H", *(value * 257 for value in row)) for row in rows)
    return pictures.png(width, height, wide, depth=16)


def with_clear_corner(image: Image.Image) -> Image.Image:
    """Return the picture with its bottom right quarter transparent."""
    clear = image.convert("RGBA")
    clear.paste((0, 0, 0, 0), (image.width // 2, image.height // 2, image.width, image.height))
    return clear


GOLDEN: dict[str, Callable[[], bytes]] = {
    **{f"exif-{turn}": functools.partial(pictures.turned, turn, "JPEG") for turn in range(1, 9)},
    "cmyk": lambda: pictures.encoded(SCENE.convert("CMYK"), "JPEG", quality=95),
    "cmyk-tiff": lambda: pictures.encoded(SCENE.convert("CMYK"), "TIFF"),
    "16-bit": lambda: rgb_16(SCENE),
    "palette": lambda: pictures.encoded(SCENE.quantize(16), "PNG"),
    "palette-gif": lambda: pictures.encoded(SCENE.quantize(16), "GIF"),
    "alpha": lambda: pictures.encoded(SCENE.convert("RGBA"), "PNG"),
    "heic-turned": lambda: pictures.turned(6, "HEIF"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_row_35_an_unusual_picture_can_be_searched_with_and_is_shown_correctly(
    visitor: Visitor, name: str
) -> None:
    search = visitor.searched(GOLDEN[name]())
    assert pictures.same_scene(visitor.preview(search), tolerance=16)
    assert len(search["results"]) == 10


def test_row_35_unusual_pictures_are_indexed_correctly(doors: Doors) -> None:
    files = {name: make() for name, make in GOLDEN.items()}
    assert doors.refusals("index", files) == dict.fromkeys(files, "")
    with Catalog.open(doors.settings.index_dir) as catalog:
        items = catalog.page(0, 100)
    items = [item for item in items if item.name != "sound.png"]
    assert {item.name.removesuffix(".png") for item in items} == set(files)
    for item in items:
        assert (item.width, item.height) == (64, 48), item
        thumbnail = thumbnail_file(doors.settings.thumbnails_dir, item.sha256)
        assert pictures.same_scene(open_rgb(thumbnail), tolerance=16), item


def test_row_35_transparency_is_shown_on_white(visitor: Visitor) -> None:
    search = visitor.searched(pictures.encoded(with_clear_corner(SCENE), "PNG"))
    assert visitor.preview(search).getpixel((48, 36)) == (255, 255, 255)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_row_35_the_smallest_and_longest_pictures_can_be_searched_with(
    visitor: Visitor, size: tuple[int, int]
) -> None:
    search = visitor.searched(pictures.encoded(Image.new("RGB", size, pictures.RED), "PNG"))
    shown = visitor.preview(search)
    assert max(shown.size) == min(max(size), 1280)
    assert min(shown.size) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_row_35_a_truncated_picture_is_reported_as_broken_and_the_next_search_works(
    visitor: Visitor, kind: str
) -> None:
    whole = pictures.encoded(picture(0, (200, 150)), kind)
    answer = visitor.send(whole[: len(whole) * 2 // 3])
    if answer.status_code == 201:
        search = visitor.searched(whole[: len(whole) * 2 // 3])
        assert (search["status"], search["error"]["code"]) == ("failed", "broken")
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "broken")
    assert visitor.searched(whole)["status"] == "done"


def test_row_35_an_empty_file_is_reported_as_empty(doors: Doors) -> None:
    for door in DOORS:
        assert doors.refusals(door, {"nothing": b""})["nothing"] == "empty"


@pytest.mark.parametrize("filler", [b"\r", b"\n", b"\r\n", b"-", b"\r\n--"])
def test_a_large_picture_passes_through_a_form_whatever_its_bytes_are(doors: Doors, filler: bytes) -> None:
    picture = pictures.encoded(SCENE, "PNG") + filler * (1_000_000 // len(filler))
    assert doors.refusals("page", {"large": picture}) == {"large": ""}
