"""Large pictures are judged by the memory that decoding takes: JPEG is decoded at a fraction of its size."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from model.errors import PictureError
from model.pictures import (
    HIGHEST_MAX_PIXELS,
    MAX_PIXELS,
    MOST_OF_JPEG,
    limit_pixels,
    most_pixels,
    open_rgb,
    probe,
)
from tests.support import pictures
from tests.support.servers import ROOT

MEMORY = 512 << 20


def claiming(width: int, height: int, **options: object) -> bytes:
    """Return a small JPEG whose header claims another size."""
    data = bytearray(pictures.encoded(pictures.scene(), "JPEG", **options))
    frame = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("size", [(8064, 6048), (12_000, 9_000), (16_320, 12_240)], ids=["48", "108", "200"])
@pytest.mark.parametrize("progressive", [False, True])
def test_photographs_of_telephones_pass_by_their_header(size: tuple[int, int], progressive: bool) -> None:
    assert probe(claiming(*size, progressive=progressive)) == ("JPEG", *size)


def test_a_photograph_of_200_megapixels_is_decoded_within_512_mib(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(pictures.encoded(Image.new("L", (16_320, 12_240), 90), "JPEG"))
    program = f"""
import sys
from model.pictures import open_rgb
from worker.limits import limit_job
limit_job({MEMORY})
print(*(open_rgb(sys.argv[1], short_side=side).size for side in (640, None)))
"""
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(2040, 1530) (4080, 3060)", done.stderr


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(claiming(65_500, 65_500), id="4-gigapixels"),
        pytest.param(claiming(20_000, 16_001), id="320-megapixels"),
        pytest.param(claiming(16_320, 12_240, progressive=True, subsampling=0), id="progressive-444"),
    ],
)
def test_a_jpeg_that_takes_too_much_time_or_memory_is_refused_from_its_header(data: bytes) -> None:
    for door in (probe, open_rgb):
        with pytest.raises(PictureError) as caught:
            door(data)
        assert caught.value.code == "too_many_pixels"


def test_a_larger_jpeg_is_reduced_as_far_as_the_limit_demands() -> None:
    data = pictures.encoded(pictures.scene(1_600, 1_000), "JPEG")
    assert open_rgb(data, max_pixels=1_600_000).size == (1_600, 1_000)
    assert open_rgb(data, max_pixels=1_599_999).size == (800, 500)
    assert open_rgb(data, max_pixels=300_000).size == (400, 250)
    assert pictures.same_scene(open_rgb(data, max_pixels=200_000))
    assert probe(data, max_pixels=200_000) == ("JPEG", 1_600, 1_000)
    with pytest.raises(PictureError, match="at most 1,599,992"):
        probe(data, max_pixels=199_999)


def test_heic_may_have_a_quarter_more_pixels_than_png() -> None:
    heic = pictures.encoded(pictures.scene(80, 60), "HEIF")
    png = pictures.encoded(pictures.scene(80, 60), "PNG")
    assert probe(heic, max_pixels=4_000) == ("HEIF", 80, 60)
    with pytest.raises(PictureError):
        probe(png, max_pixels=4_000)


def test_the_limit_is_a_setting_of_the_process() -> None:
    data = pictures.gif(8_000, 5_001)
    assert most_pixels() == MAX_PIXELS
    with pytest.raises(PictureError, match="at most 40,000,000"):
        probe(data)
    limit_pixels(50_000_000)
    try:
        assert probe(data)[1:] == (8_000, 5_001)
        assert most_pixels() == 50_000_000
    finally:
        limit_pixels(MAX_PIXELS)
    for wrong in (0, HIGHEST_MAX_PIXELS + 1):
        with pytest.raises(ValueError, match="max_pixels"):
            limit_pixels(wrong)
    assert MOST_OF_JPEG * MAX_PIXELS >= 200_000_000


def test_a_webp_that_claims_far_too_much_is_refused_before_its_decoder_starts() -> None:
    lossless = bytearray(pictures.encoded(pictures.scene(), "WEBP", lossless=True))
    lossless[21:25] = ((16_383 - 1) | (16_383 - 1) << 14).to_bytes(4, "little")
    for data in (bytes(lossless), pictures.webp_bomb(16_383, 16_383)):
        with pytest.raises(PictureError, match="16383 x 16383"):
            probe(data)


@pytest.mark.filterwarnings("ignore:Metadata Warning")  # while the file is made
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_exif_of_millions_of_values_takes_no_time(kind: str) -> None:
    entries = struct.pack("<HHHII", 2, pictures.ORIENTATION, 3, 1, 6)
    entries += struct.pack("<HHII", 282, 5, 1_000_000, 38) + bytes(4)
    exif = b"II*\0" + struct.pack("<I", 8) + entries + bytes(8_000_000)
    if kind == "PNG":
        data = pictures.encoded(pictures.scene(), kind)
        data = data[:33] + pictures.png_chunk(b"eXIf", exif) + data[33:]
    elif kind == "JPEG":
        data = pictures.encoded(pictures.scene(), kind)
        parts = (exif[at : at + 65_000] for at in range(0, len(exif), 65_000))
        segments = (b"\xff\xe1" + (len(part) + 8).to_bytes(2, "big") + b"Exif\0\0" + part for part in parts)
        data = data[:2] + b"".join(segments) + data[2:]
    else:
        data = pictures.encoded(pictures.scene(), kind, exif=b"Exif\0\0" + exif)
    for door in (probe, open_rgb):
        began = time.process_time()
        door(data)
        assert time.process_time() - began < 0.3
