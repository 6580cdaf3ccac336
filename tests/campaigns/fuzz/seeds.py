"""Valid pictures of every accepted format, in all variants that encoders and cameras produce.

Mutations begin from these. They are small, so that tens of thousands are played in minutes, and the same on
every run with the same libraries.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from tests.campaigns.fuzz.crafted import bmp_16, bmp_core, bmp_rle, png_interlaced, tiff_tiled
from tests.support.galleries import picture
from tests.support.pictures import encoded, png
from tests.support.tiffs import BLACK_IS_ZERO, RGB, WHITE_IS_ZERO, tiff

SIZE = (67, 45)
TIFF_RGB = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd")
TIFF_MODES = ("L", "LA", "P", "I;16", "I", "F", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB")


class Seed(NamedTuple):
    """A valid picture: `kind` is the format by Pillow's name."""

    name: str
    kind: str
    data: bytes


@functools.cache
def seeds() -> tuple[Seed, ...]:
    """All seeds, made once."""
    makers = (_jpeg, _png, _webp, _gif, _bmp, _tiff, _heif, _avif)
    return tuple(
        Seed(f"{maker.__name__[1:]}-{name}", maker.__name__[1:].upper(), data)
        for maker in makers
        for name, data in maker()
    )


def _scene(mode: str = "RGB", number: int = 0) -> Image.Image:
    image = picture(number, SIZE)
    if "A" in mode and mode != "LAB":
        image.putalpha(picture(number + 1, SIZE).convert("L"))
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image.convert("I").convert(mode) if mode in ("I;16", "F") else image.convert(mode)


def _exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera of somebody"
    exif.get_ifd(0x8769)[0x9003] = "2024:02:29 12:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    return exif


def _profile(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def _jpeg() -> Iterator[tuple[str, bytes]]:
    image = _scene()
    profile = b"a colour profile " * 5000  # two segments
    yield "baseline", encoded(image, "JPEG")
    yield "444", encoded(image, "JPEG", subsampling=0, quality=95, optimize=True)
    yield "restart", encoded(image, "JPEG", restart_marker_blocks=2)
    yield "progressive", encoded(image, "JPEG", progressive=True)
    yield "grey", encoded(_scene("L"), "JPEG", progressive=True)
    yield "cmyk", encoded(_scene("CMYK"), "JPEG")
    yield "cmyk-progressive", encoded(_scene("CMYK"), "JPEG", progressive=True)
    yield "exif", encoded(image, "JPEG", exif=_exif())
    yield "metadata", encoded(image, "JPEG", icc_profile=profile, comment=b"by somebody", xmp=b"<x/>")
    yield "profile", encoded(image, "JPEG", icc_profile=_profile("sRGB"))
    yield "multi", encoded(image, "MPO", save_all=True, append_images=[_scene(number=3)])


def _png() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA", "I;16"):
        yield mode.lower(), encoded(_scene(mode), "PNG")
    for bits in (1, 2, 4):
        yield f"p-{bits}", encoded(_scene().quantize(1 << bits), "PNG", bits=bits)
    yield "transparent", encoded(_scene("P"), "PNG", transparency=b"\0\x80\xff")
    width, height = 33, 20
    for name, colour, samples in (("rgb", 2, 3), ("rgba", 6, 4), ("la", 4, 2)):
        row = b"\0" + struct.pack(f">{width * samples}H", *range(0, width * samples * 500, 500))
        yield f"{name}-16", png(width, height, row * height, depth=16, colour=colour)
    yield "interlaced", png_interlaced(_scene())
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "somebody")
    texts.add_text("Comment", "a long one " * 50, zip=True)
    texts.add_itxt("Title", "фото", "ru", "Title", zip=True)
    options = {"exif": _exif(), "icc_profile": b"profile " * 40, "dpi": (300, 300)}
    yield "metadata", encoded(_scene(), "PNG", pnginfo=texts, **options)
    yield "animated", encoded(_scene(), "PNG", save_all=True, append_images=[_scene(number=3)], duration=40)


def _webp() -> Iterator[tuple[str, bytes]]:
    for mode in ("RGB", "RGBA"):
        yield f"lossy-{mode.lower()}", encoded(_scene(mode), "WEBP")
        yield f"lossless-{mode.lower()}", encoded(_scene(mode), "WEBP", lossless=True)
    yield "metadata", encoded(_scene(), "WEBP", exif=_exif(), xmp=b"<x/>", icc_profile=b"profile " * 9)
    frames = [_scene("RGBA", number=number) for number in (3, 5)]
    yield "animated", encoded(_scene("RGBA"), "WEBP", save_all=True, append_images=frames, duration=40)


def _gif() -> Iterator[tuple[str, bytes]]:
    yield "plain", encoded(_scene("P"), "GIF", interlace=0)
    yield "interlaced", encoded(_scene("P"), "GIF", interlace=1, comment=b"by somebody")
    yield "transparent", encoded(_scene("P"), "GIF", transparency=0)
    yield "grey", encoded(_scene("L"), "GIF")
    frames = [_scene("P", number=number) for number in (3, 5)]
    yield "animated", encoded(_scene("P"), "GIF", save_all=True, append_images=frames, loop=0, disposal=2)


def _bmp() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield mode.lower(), encoded(_scene(mode), "BMP")
    upright = bytearray(encoded(_scene(), "BMP"))
    struct.pack_into("<i", upright, 22, -SIZE[1])
    yield "top-down", bytes(upright)
    yield "rle-8", bmp_rle(_scene("P"))
    yield "core", bmp_core(_scene())
    yield "16", bmp_16(_scene())


def _tiff() -> Iterator[tuple[str, bytes]]:
    for compression in TIFF_RGB:
        yield compression, encoded(_scene(), "TIFF", compression=compression)
    for compression in ("group3", "group4", "tiff_ccitt", "packbits"):
        yield f"1-{compression}", encoded(_scene("1"), "TIFF", compression=compression)
    for mode in TIFF_MODES:
        yield mode.lower(), encoded(_scene(mode), "TIFF")
    yield "lzw-predictor", encoded(_scene(), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "strips", encoded(_scene(), "TIFF", compression="tiff_lzw", tiffinfo={278: 8})
    yield "tiles", tiff_tiled(_scene())
    yield "big", encoded(_scene(), "TIFF", big_tiff=True)
    yield "turned", encoded(_scene(), "TIFF", exif=_exif(8))
    yield "pages", encoded(_scene(), "TIFF", save_all=True, append_images=[_scene(number=3)])
    samples = np.asarray(_scene(), np.uint16) * 257
    for name, options in (
        ("planes", {}),
        ("planes-packed", {"packed": True}),
        ("planes-tiles", {"tile": 16}),
    ):
        yield f"16-{name}", tiff(samples, RGB, planes=True, **options)
    yield "16-inverted", tiff(samples[..., :1], WHITE_IS_ZERO, order=">")
    yield "16-transparent", tiff(samples[..., :2], BLACK_IS_ZERO, extras=(2,), packed=True)
    yield "profile", encoded(_scene(), "TIFF", icc_profile=_profile("sRGB"))
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"MM\0*\0\0\0\x08")
    directory[270] = "by somebody"
    yield "big-endian", encoded(_scene("I;16B"), "TIFF", tiffinfo=directory)


def _heif() -> Iterator[tuple[str, bytes]]:
    for mode in ("RGB", "RGBA", "L"):
        yield mode.lower(), encoded(_scene(mode), "HEIF")
    turned = _scene()
    turned.getexif()[0x0112] = 6
    yield "turned", encoded(turned, "HEIF")
    yield "444", encoded(_scene(), "HEIF", quality=-1, chroma=444)
    yield "metadata", encoded(_scene(), "HEIF", exif=_exif().tobytes(), xmp=b"<x/>")
    yield "several", encoded(_scene(), "HEIF", save_all=True, append_images=[_scene(number=3)])


def _avif() -> Iterator[tuple[str, bytes]]:
    for mode in ("RGB", "RGBA", "L"):
        yield mode.lower(), encoded(_scene(mode), "AVIF", speed=10)
    yield "444", encoded(_scene(), "AVIF", speed=10, subsampling="4:4:4", quality=95)
    yield "metadata", encoded(_scene(), "AVIF", speed=10, exif=_exif(), xmp=b"<x/>")
    yield "animated", encoded(_scene(), "AVIF", speed=10, save_all=True, append_images=[_scene(number=3)])
