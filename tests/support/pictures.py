"""Unusual and malicious pictures, built byte by byte where no encoder would write them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

from PIL import Image

RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 60), (30, 60, 220), (120, 120, 120)
ORIENTATION = 0x0112


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture of four quarters in different colours, which shows every rotation and reflection."""
    image = Image.new("RGB", (width, height), GREY)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return `image` as a file of the format `kind`."""
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int, kind: str, width: int = 64, height: int = 48) -> bytes:
    """Return a file with this EXIF orientation, 1 to 8, that is `scene()` when it is upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the value is a PIL.Image.Transpose
    image = scene(width, height)
    if orientation in undo:
        image = image.transpose(Image.Transpose(undo[orientation]))
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    # The HEIF encoder writes the orientation as a transformation, if the image has it.
    return encoded(image, kind) if kind == "HEIF" else encoded(image, kind, exif=exif)


def same_scene(image: Image.Image, tolerance: int = 12) -> bool:
    """Return whether `image` is `scene()` of its size, judged by the middle of each quarter."""
    width, height = image.size
    expected = scene(width, height)
    middles = [(x * width // 4, y * height // 4) for x in (1, 3) for y in (1, 3)]
    return all(
        abs(actual - value) <= tolerance
        for place in middles
        for actual, value in zip(image.getpixel(place), expected.getpixel(place), strict=True)
    )


def png(
    width: int,
    height: int,
    pixels: bytes,
    *,
    depth: int = 8,
    colour: int = 2,
    interlaced: bool = False,
    before: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return a PNG with this size in its header, `pixels` as its data, and the chunks `before` them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int) -> bytes:
    """Return a few hundred kilobytes that really decode to width x height black pixels."""
    return png(width, height, bytes((width * 3 + 1) * height))


def png_text_bomb() -> bytes:
    """Return one pixel with a compressed text of 128 MB."""
    text = b"comment\0\0" + zlib.compress(bytes(128 << 20), 9)
    return png(1, 1, b"\0\1\2\3", before=[(b"zTXt", text)])


def png_many_texts() -> bytes:
    """Return one pixel with 90 compressed texts of an allowed size, together 80 MB."""
    text = b"comment\0\0" + zlib.compress(bytes(900_000), 9)
    return png(1, 1, b"\0\1\2\3", before=[(b"zTXt", text)] * 90)


def png_profile_bomb() -> bytes:
    """Return one pixel with a colour profile of 128 MB."""
    return png(1, 1, b"\0\1\2\3", before=[(b"iCCP", b"profile\0\0" + zlib.compress(bytes(128 << 20), 9))])


def gif(width: int, height: int, frames: int = 1) -> bytes:
    """Return a GIF that claims a canvas and has frames of one pixel: 43 bytes, 24 for each further one."""
    frame = b"!\xf9\x04\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    canvas = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + canvas + frame * frames + b";"


def tiff_bomb(width: int, height: int) -> bytes:
    """Return a TIFF header that claims a size, with one empty strip."""
    entries = ((256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8))
    entries += ((277, 3, 1), (278, 4, height), (279, 4, 1))
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)


def bmp_bomb(width: int, height: int) -> bytes:
    """Return a BMP header that claims a size, without pixels."""
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def webp_bomb(width: int, height: int) -> bytes:
    """Return a WebP animation that claims a canvas, with two frames of two pixels."""
    frames = [Image.new("RGB", (2, 1), colour) for colour in (RED, BLUE)]
    data = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    assert data[12:16] == b"VP8X"
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def foreign_files() -> dict[str, bytes]:
    """Return files that Pillow, a browser or a viewer would open, of formats that are not accepted."""
    plain = scene()
    return {
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n%%EOF\n",
        "pdf": encoded(plain, "PDF"),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "html": b"<!doctype html><title>Not found</title><p>404",
        "fits": b"SIMPLE  =                    T".ljust(80) + b"NAXIS   = 0".ljust(80) + b"END".ljust(2720),
        "psd": b"8BPS\0\1" + bytes(40),
        "ico": encoded(plain.resize((16, 16)), "ICO"),
        "jpeg 2000": encoded(plain, "JPEG2000"),
        "ppm": encoded(plain, "PPM"),
        "tga": encoded(plain, "TGA"),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(40),
        "mpeg": b"\0\0\1\xb3" + bytes(60),
        "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(40),
        "zip": b"PK\3\4" + bytes(60),
        "text": b"just a text\n",
    }


def polyglot() -> bytes:
    """Return a GIF that is also a page with a script."""
    page = b"<html><script>alert(document.domain)</script></html>"
    comment = b"!\xfe" + bytes([len(page)]) + page + b"\0"
    plain = gif(1, 1)
    end_of_palette = 13 + 6
    return plain[:end_of_palette] + comment + plain[end_of_palette:] + page


class CountingFile(io.BytesIO):
    """A file that counts the bytes read, so that a test can check constant time without a clock."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data
