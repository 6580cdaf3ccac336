"""Colour profiles, ink without Adobe's marker, and the background of transparent pictures."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from model.pictures import open_rgb
from model.pictures.profiles import MAX_PROFILE, mode_of
from tests.support import pictures

SIZE = (96, 64)
SCENE = pictures.scene(*SIZE)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(gamma: float, primaries: list[list[float]] | None = None) -> bytes:
    """Make a profile by ICC.1: of grey, or of three primaries in XYZ (D50)."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + bytes(2)
    xyz = lambda values: b"XYZ " + bytes(4) + b"".join(map(fixed, values))  # noqa: E731
    tags = {b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        for letter, values in zip("rgb", primaries, strict=True):
            tags |= {f"{letter}XYZ".encode(): xyz(values), f"{letter}TRC".encode(): curve}
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    space = b"GRAY" if primaries is None else b"RGB "
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(body),
        b"none",
        0x02400000,
        b"mntr",
        space,
        b"XYZ ",
        bytes(12),
        b"acsp",
    )
    head = head.ljust(68, b"\0") + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


ADOBE = profile(2.2, [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]])
PROPHOTO = profile(1.8, [[0.7977, 0.2880, 0.0], [0.1352, 0.7119, 0.0], [0.0313, 0.0001, 0.8249]])


def stored_in(icc: bytes, image: Image.Image) -> Image.Image:
    """Return the values that show the same colours with a profile."""
    stored = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(icc))
    )
    stored.info.clear()
    return stored


def difference(data: bytes, expected: Image.Image) -> int:
    """Return the largest difference in the middle of the four quarters, which compression leaves alone."""
    image, (width, height) = open_rgb(data), expected.size
    places = [(x * width // 4, y * height // 4) for x in (1, 3) for y in (1, 3)]
    pairs = (zip(image.getpixel(each), expected.getpixel(each), strict=True) for each in places)
    return max(abs(found - right) for pair in pairs for found, right in pair)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("icc", [ADOBE, PROPHOTO], ids=["Adobe RGB", "ProPhoto"])
def test_colours_are_those_that_the_embedded_profile_means(kind: str, icc: bytes) -> None:
    muted = SCENE.point(lambda value: 60 + value // 2)
    data = pictures.encoded(stored_in(icc, muted), kind, icc_profile=icc, quality=100)
    assert difference(data, muted) <= 8
    without = pictures.encoded(stored_in(icc, muted), kind, quality=100)
    assert difference(without, muted) > 12


def test_the_profile_of_a_transparent_picture_and_of_grey_counts_too() -> None:
    muted = SCENE.point(lambda value: 60 + value // 2)
    stored = stored_in(ADOBE, muted)
    stored.putalpha(255)
    stored.putpixel((0, 0), (0, 0, 0, 0))
    image = open_rgb(pictures.encoded(stored, "PNG", icc_profile=ADOBE))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert np.abs(np.asarray(image, int)[4:] - np.asarray(muted, int)[4:]).max() <= 6
    grey = Image.new("L", (4, 4), 128)
    linear = pictures.encoded(grey, "PNG", icc_profile=profile(1.0))
    assert open_rgb(linear).getpixel((1, 1)) == pytest.approx((188, 188, 188), abs=2)
    grey.putalpha(255)
    assert open_rgb(pictures.encoded(grey, "PNG", icc_profile=profile(1.0))).getpixel((1, 1))[0] > 180


def test_a_picture_in_srgb_keeps_its_exact_values() -> None:
    assert open_rgb(pictures.encoded(SCENE, "PNG", icc_profile=SRGB)).tobytes() == SCENE.tobytes()


@pytest.mark.parametrize(
    "icc",
    [
        pytest.param(b"rubbish" * 100, id="rubbish"),
        pytest.param(ADOBE[:200], id="cut-off"),
        pytest.param(profile(1.0), id="of-grey"),
        pytest.param(ADOBE[:12] + b"link" + ADOBE[16:], id="device-link"),
        pytest.param(ADOBE[:128] + b"\xff\xff\xff\xff" + ADOBE[132:], id="endless-tags"),
        pytest.param(ADOBE.replace(b"rXYZ", b"D2B0"), id="calculations"),
    ],
)
def test_a_profile_that_is_damaged_or_for_other_pictures_is_ignored(icc: bytes) -> None:
    for kind in ("PNG", "TIFF"):
        assert open_rgb(pictures.encoded(SCENE, kind, icc_profile=icc)).tobytes() == SCENE.tobytes()


def test_a_profile_of_megabytes_is_not_used() -> None:
    assert mode_of(ADOBE) == "RGB"
    assert mode_of(ADOBE + bytes(MAX_PROFILE)) == ""
    data = pictures.encoded(SCENE, "TIFF", icc_profile=ADOBE + bytes(MAX_PROFILE))
    assert open_rgb(data).tobytes() == SCENE.tobytes()


def test_ink_without_the_marker_of_adobe_is_not_inverted() -> None:
    plain = pictures.encoded(SCENE.convert("CMYK"), "JPEG", quality=95)
    marker = plain.index(b"\xff\xee\0\x0eAdobe")
    inverted = Image.open(io.BytesIO(plain)).point(lambda value: 255 - value)
    other = pictures.encoded(inverted, "JPEG", quality=95)
    bare = other[:marker] + other[marker + 16 :]
    assert b"Adobe" not in bare
    assert pictures.same_scene(open_rgb(plain))
    assert pictures.same_scene(open_rgb(bare), tolerance=16)


def icon(colour: tuple[int, int, int], box: tuple[int, int, int, int]) -> bytes:
    image = Image.new("RGBA", (64, 64), (*colour, 0))
    ImageDraw.Draw(image).rectangle(box, fill=(*colour, 255))
    return pictures.encoded(image, "PNG")


@pytest.mark.parametrize(
    ("colour", "background"),
    [((255, 255, 255), 0), ((230, 240, 250), 0), ((20, 20, 20), 255), ((200, 0, 0), 255)],
)
def test_an_icon_is_laid_on_the_background_that_shows_it(
    colour: tuple[int, int, int], background: int
) -> None:
    image = open_rgb(icon(colour, (20, 20, 40, 40)))
    assert image.getpixel((30, 30)) == colour
    assert image.getpixel((2, 2)) == (background,) * 3


def test_two_white_icons_are_two_pictures() -> None:
    first, second = (open_rgb(icon((255, 255, 255), box)) for box in ((4, 4, 20, 60), (4, 40, 60, 60)))
    assert first.tobytes() != second.tobytes()


def test_a_picture_of_which_nothing_is_visible_is_white() -> None:
    assert open_rgb(pictures.encoded(Image.new("RGBA", (64, 64)), "PNG")).getextrema() == ((255, 255),) * 3
