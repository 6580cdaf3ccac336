"""Pictures that would take far more time or memory to decode than their pixels need."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from model.errors import PictureError
from model.pictures import MAX_PIXELS, PictureInfo, decoders, open_rgb, probe
from tests.support import pictures
from tests.support.servers import ROOT

MEMORY = 512 << 20
WIDTH, HEIGHT = 8000, 5000
JPEG, PNG = (pictures.encoded(pictures.scene(), kind) for kind in ("JPEG", "PNG"))
GIF = pictures.gif(64, 48)
PNG_HEADER = 33  # bytes: signature and IHDR
GIF_HEADER = 19  # bytes: canvas and a palette of two colours

# In each the piece is repeated at a place where Pillow takes it in one by one.
IN_HEADER = {
    "jpeg padding": lambda n: JPEG[:2] + b"\xff" * n + JPEG[2:],
    "jpeg junk": lambda n: JPEG[:2] + b"\xff" + b"\0" * n + JPEG[3:],
    "jpeg empty comments": lambda n: JPEG[:2] + b"\xff\xfe\0\2" * n + JPEG[2:],
    "png empty texts": lambda n: PNG[:PNG_HEADER] + pictures.png_chunk(b"tEXt", b"") * n + PNG[PNG_HEADER:],
    "gif comment": lambda n: GIF[:GIF_HEADER] + b"!\xfe" + b"\1x" * n + b"\0" + GIF[GIF_HEADER:],
    "gif junk": lambda n: GIF[:GIF_HEADER] + b"\1" * n + GIF[GIF_HEADER:],
}
IN_PIXELS = {
    "png chunks behind the pixels": lambda n: PNG[:-12] + pictures.png_chunk(b"prVt", b"") * n + PNG[-12:],
    "png empty pixel chunks": lambda n: (
        PNG[:PNG_HEADER] + pictures.png_chunk(b"IDAT", b"") * n + PNG[PNG_HEADER:]
    ),
}


@pytest.fixture(autouse=True)
def _few_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits to a hundredth, so that the files stay small."""
    monkeypatch.setattr(decoders, "HEADER_READS", decoders.HEADER_READS // 100)
    monkeypatch.setattr(decoders, "PIXEL_READS", decoders.PIXEL_READS // 100)


@pytest.mark.parametrize("name", IN_HEADER)
def test_a_header_in_too_many_pieces_is_refused(name: str) -> None:
    make: Callable[[int], bytes] = IN_HEADER[name]
    assert probe(make(20))[1:] == (64, 48)
    for door in (probe, open_rgb):
        with pytest.raises(PictureError, match="too many small pieces") as caught:
            door(make(decoders.HEADER_READS))
        assert caught.value.code == "broken"


@pytest.mark.parametrize("name", IN_PIXELS)
def test_pixels_in_too_many_pieces_are_refused(name: str) -> None:
    make: Callable[[int], bytes] = IN_PIXELS[name]
    assert open_rgb(make(20)).size == (64, 48)
    with pytest.raises(PictureError, match="too many small pieces"):
        open_rgb(make(decoders.PIXEL_READS))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = pictures.encoded(pictures.scene(), "JPEG", progressive=True)
    first, second = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"][1:3]
    scan = data[first:second]
    repeated = lambda times: data[:second] + scan * times + data[second:]  # noqa: E731
    assert open_rgb(repeated(decoders.MAX_SCANS // 2)).size == (64, 48)
    with pytest.raises(PictureError, match="more than 500 scans"):
        open_rgb(repeated(decoders.MAX_SCANS))
    assert probe(repeated(decoders.MAX_SCANS)) == PictureInfo("JPEG", 64, 48)


def test_formats_decoded_in_python_may_have_a_quarter_of_the_pixels() -> None:
    def run_lengths(width: int, height: int) -> bytes:
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 4, 0, 0, 0, 0) + bytes(1024)
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + b"\0\0\0\1"

    assert probe(run_lengths(5000, MAX_PIXELS // 20_000)).format == "BMP"
    with pytest.raises(PictureError) as caught:
        probe(run_lengths(5000, MAX_PIXELS // 20_000 + 1))
    assert caught.value.code == "too_many_pixels"


def test_a_length_of_gigabytes_allocates_nothing() -> None:
    asked = []

    class Asked(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size)
            return super().read(size)

    idat = PNG.index(b"IDAT") - 4
    data = PNG[:idat] + b"\xff\xff\xff\xf0" + PNG[idat + 4 :]
    assert open_rgb(Asked(data)).size == (64, 48)
    assert max(asked) <= len(data)


def largest(kind: str) -> bytes:
    """Return a picture with the largest accepted number of pixels, in the variant that takes most memory."""
    clear = Image.new("RGBA", (WIDTH, HEIGHT), (200, 100, 50, 128))
    turned = Image.Exif()
    turned[pictures.ORIENTATION] = 6
    make: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: pictures.encoded(clear.convert("CMYK"), "JPEG", progressive=True, exif=turned),
        "png": lambda: pictures.png(WIDTH, HEIGHT, bytes((WIDTH * 4 + 1) * HEIGHT), colour=6),
        "png-16": lambda: pictures.png(WIDTH, HEIGHT, bytes((WIDTH * 2 + 1) * HEIGHT), depth=16, colour=0),
        "webp": lambda: pictures.webp_bomb(WIDTH, HEIGHT),
        "gif": lambda: pictures.gif(WIDTH, HEIGHT),
        "tiff": lambda: pictures.encoded(clear, "TIFF", compression="packbits", exif=turned),
        "avif": lambda: pictures.encoded(clear, "AVIF", speed=10, exif=turned),
        # Encoding takes a minute: `clear` at quality 10.
        "heif": lambda: (ROOT / "tests" / "goldens" / "forty-megapixels.heic").read_bytes(),
    }
    return make[kind]()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpeg", "png", "png-16", "webp", "gif", "tiff", "avif", "heif"])
def test_row_30_the_largest_accepted_picture_stays_within_512_mib(kind: str, tmp_path: Path) -> None:
    assert WIDTH * HEIGHT == MAX_PIXELS
    path = tmp_path / kind
    path.write_bytes(largest(kind))
    program = f"""
import sys
from model.pictures import open_rgb
from worker.limits import limit_job
limit_job({MEMORY})
print(sorted(open_rgb(sys.argv[1]).size))
"""
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str([HEIGHT, WIDTH]), done.stderr
