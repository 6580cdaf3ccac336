"""TIFF: the directory read by own code, the pixels by libtiff.

libtiff gets the file with a new directory at its end, which lists only what decoding needs; of separate
planes, one plane at a time. Imports Pillow and the package's own modules.

References
----------
TIFF 6.0.
"""

from __future__ import annotations

import struct
import sys

from PIL import Image, ImageChops

from model.errors import PictureError
from model.pictures import decoders
from model.pictures.colour import value_range
from model.pictures.directories import ORIENTATION, Directory, upright
from model.pictures.opened import Opened
from model.pictures.profiles import MAX_PROFILE
from model.pictures.samples import (
    BITS,
    CHANNELS,
    CLEAR,
    COMPRESSION,
    EXTRAS,
    FORMAT,
    GREY,
    GREY_INVERTED,
    LAB,
    MAX_VALUES,
    MEANING,
    OLD_JPEG,
    PALETTE,
    PLANES,
    SAMPLES,
    UNSIGNED,
    YCBCR,
    Layout,
    layout_of,
    modes_of,
    unsupported,
)

_WIDTH, _HEIGHT, _FILL, _STRIPS, _ROWS, _STRIP_SIZES = 256, 257, 266, 273, 278, 279
_COLOURS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES, _PROFILE = 320, 322, 323, 324, 325, 34675
_COPIED = {_WIDTH, _HEIGHT, COMPRESSION, _FILL, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, 292, 293, 317, 347}
_COPIED |= {*range(512, 522), 529, 530, 531, 532}
_MAX_TABLE = 1 << 16
_MAX_STRIPS = 200_000
_MAX_TILE = 1 << 24
_JPEG = 7
_PREMULTIPLIED = 1


def read(file: decoders.BudgetedFile) -> Opened:
    """Read the directory of a TIFF file.

    Raises
    ------
    PictureError
        ``broken``, or ``unsupported_kind`` if the samples are stored in a way that cannot be decoded right.
    """
    directory = Directory(file)
    width, height = (directory.number(tag, 0) for tag in (_WIDTH, _HEIGHT))
    layout = layout_of(directory)
    return Opened(
        "TIFF",
        width,
        height,
        lambda reduction: _Decoder(file, directory, layout, (width, height)).decode(),
        upright(directory.number(ORIENTATION, 1)),
        directory.content(_PROFILE, MAX_PROFILE),
    )


class _Decoder:
    """Decodes the first picture of a file.

    Parameters
    ----------
    file : BudgetedFile
    directory : Directory
        Of the file.
    layout : Layout
    size : tuple of int
        Width and height as stored.
    """

    def __init__(
        self, file: decoders.BudgetedFile, directory: Directory, layout: Layout, size: tuple[int, int]
    ) -> None:
        self._file, self._directory, self.layout_of, self._size = file, directory, layout, size
        self._compression = directory.number(COMPRESSION, 1)
        self._offsets: tuple[int, ...] = ()
        self._lengths: tuple[int, ...] = ()
        self._per_plane = 0
        if self._compression != OLD_JPEG:
            self._find_strips()
        file.seek(0)
        self._data = file.read(file.size)

    def decode(self) -> Image.Image:
        """Return the picture in a mode that `model.pictures.colour` knows."""
        layout = self.layout_of
        if layout.planes:
            bands = [self._plane(number) for number in range(layout.samples)]
            return _finished(layout, bands)
        modes = modes_of(layout)
        if modes is None:
            raise unsupported("unknown samples")
        mode, raw = modes
        if layout.meaning == YCBCR and self._compression == _JPEG:
            raw = "RGB"
        image = self._run(mode, raw, 0, self._tags(None))
        if layout.meaning == PALETTE:
            return self._coloured(image)
        if layout.meaning in (GREY, GREY_INVERTED) and (layout.extras or layout.bits == 1):
            return _finished(layout, _separated(image, layout))
        if layout.meaning == LAB and layout.bits == 16:
            return _finished(layout, list(image.split()))
        if layout.bits == 32 and layout.format == UNSIGNED and value_range(image)[0] < 0:
            # Pillow takes values beyond 2**31 as negative: the most significant byte is enough.
            image = self._run("RGBA", "RGBA", 0, self._tags(None))
            image = image.getchannel("A" if sys.byteorder == "little" else "R")
        if layout.bits == 12:
            image = _scaled_12(image)
        return _inverted(image) if layout.meaning == GREY_INVERTED else image

    def _find_strips(self) -> None:
        directory, (width, height) = self._directory, self._size
        tiled = _TILES in directory.entries
        across = down = 1
        if tiled:
            tile = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_HEIGHT, 0)
            if min(tile) < 1 or tile[0] * tile[1] > max(_MAX_TILE, 4 * width * height):
                raise PictureError("broken", "the TIFF picture is damaged: the size of its tiles is invalid")
            across, down = -(-width // tile[0]), -(-height // tile[1])
        else:
            down = -(-height // max(1, min(height, directory.number(_ROWS, height))))
        self._per_plane = across * down
        expected = self._per_plane * (self.layout_of.samples if self.layout_of.planes else 1)
        if expected > _MAX_STRIPS:
            raise PictureError("broken", "the file is cut into too many small pieces")
        most = max(2 * expected, MAX_VALUES)
        self._offsets = directory.numbers(_TILES if tiled else _STRIPS, most)
        self._lengths = directory.numbers(_TILE_SIZES if tiled else _STRIP_SIZES, most)
        if len(self._offsets) < expected or len(self._lengths) not in (0, len(self._offsets)):
            raise PictureError("broken", "the TIFF picture is damaged or cut off: strips are missing")
        ends = map(sum, zip(self._offsets[:expected], self._lengths, strict=False))
        if max(ends, default=0) > self._file.size:
            raise PictureError("broken", "the TIFF picture is cut off")
        self._tags_of_strips = (_TILES, _TILE_SIZES) if tiled else (_STRIPS, _STRIP_SIZES)

    def _plane(self, number: int) -> Image.Image:
        layout = Layout(GREY, self.layout_of.bits, self.layout_of.format, (), False)
        mode, raw = modes_of(layout) or ("L", "L")
        plane = self._run(mode, raw, number, self._tags(number))
        return plane if plane.mode == "L" else _high_bytes(plane)

    def _tags(self, plane: int | None) -> dict[int, tuple[int, ...]]:
        """Return the tags that differ from the file's own."""
        layout = self.layout_of
        samples = layout.samples if plane is None else 1
        meaning = layout.meaning
        if plane is not None or meaning in (GREY_INVERTED, PALETTE):
            meaning = GREY  # so that libtiff hands out the numbers as they are stored
        tags: dict[int, tuple[int, ...]] = {
            BITS: (layout.bits,) * samples,
            MEANING: (meaning,),
            SAMPLES: (samples,),
            PLANES: (1,),
            FORMAT: (layout.format,) * samples,
        }
        if plane is None and layout.extras:
            tags[EXTRAS] = tuple(each if each in (0, 1, 2) else 2 for each in layout.extras)
        if self._compression != OLD_JPEG:
            chosen = slice((plane or 0) * self._per_plane, ((plane or 0) + 1) * self._per_plane)
            for tag, values in zip(self._tags_of_strips, (self._offsets, self._lengths), strict=True):
                if values:
                    tags[tag] = values[chosen]
        return tags

    def _run(self, mode: str, raw: str, plane: int, tags: dict[int, tuple[int, ...]]) -> Image.Image:
        data, start = self._with_directory(tags)
        image = Image.new(mode, self._size)
        decoder = Image._getdecoder(mode, "libtiff", (raw, 0, start))
        try:
            decoder.setimage(image.im, (0, 0, *self._size))
            _, error = decoder.decode(data)
        finally:
            decoder.cleanup()
        if error < 0:
            raise PictureError("broken", f"the TIFF picture is damaged or cut off (plane {plane + 1})")
        return image

    def _with_directory(self, tags: dict[int, tuple[int, ...]]) -> tuple[bytes, int]:
        """Return the file with a new directory at its end, and where that is."""
        directory = self._directory
        order, big = directory.order, directory.big
        word, width = ("Q", 8) if big else ("I", 4)
        arrays, entries = bytearray(bytes(-len(self._data) % 8)), []
        for tag, entry in directory.entries.items():
            old = tag in (_STRIPS, _STRIP_SIZES) and self._compression == OLD_JPEG
            if (tag in _COPIED or old) and tag not in tags and entry.length <= _MAX_TABLE:
                entries.append((tag, entry.raw))
        for tag, values in tags.items():
            kind, code = (16, "Q") if big else (4, "I")
            if tag not in (_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES):
                kind, code = 3, "H"
            data = struct.pack(f"{order}{len(values)}{code}", *values)
            if len(data) > width:
                place = len(self._data) + len(arrays)
                arrays += data + bytes(-len(data) % 8)
                data = struct.pack(order + word, place)
            entries.append(
                (tag, struct.pack(f"{order}HH{word}", tag, kind, len(values)) + data.ljust(width, b"\0"))
            )
        start = len(self._data) + len(arrays)
        table = b"".join(raw for _, raw in sorted(entries))
        count = struct.pack(order + ("Q" if big else "H"), len(entries))
        head = self._data[: 8 if big else 4] + struct.pack(order + word, start)
        return b"".join((head, self._data[len(head) :], arrays, count, table, bytes(width))), start

    def _coloured(self, image: Image.Image) -> Image.Image:
        """Give the numbers of a palette their colours."""
        alpha = None
        if self.layout_of.extras:
            bands = image.split()
            alpha = bands[1] if self.layout_of.extras[0] in CLEAR else None
            image = bands[0]
        size = 1 << self.layout_of.bits
        values = self._directory.numbers(_COLOURS, 3 << 16)
        if len(values) < 3 * size:
            raise PictureError("broken", "the TIFF picture is damaged: its palette is missing")
        # Some programs write 8-bit values where 16 bits belong.
        shift = 8 if max(values) > 255 else 0
        red, green, blue = (values[at * size : (at + 1) * size] for at in range(3))
        colours = [part >> shift for colour in zip(red, green, blue, strict=True) for part in colour]
        paletted = Image.frombytes("P", image.size, image.tobytes())
        paletted.putpalette(colours)
        if alpha is None:
            return paletted
        rgba = paletted.convert("RGB")
        rgba.putalpha(alpha)
        return rgba


def _separated(image: Image.Image, layout: Layout) -> list[Image.Image]:
    """Return the 8-bit samples of grey that was decoded as another mode."""
    bands = list(image.split())
    if layout.bits == 16 and len(layout.extras) == 1:
        # Two samples of 16 bits lie where four of 8 bits would.
        little = sys.byteorder == "little"
        pairs = (bands[:2], bands[2:])
        return [_rounded(*reversed(pair)) if little else _rounded(*pair) for pair in pairs]
    return bands


def _finished(layout: Layout, bands: list[Image.Image]) -> Image.Image:
    """Put 8-bit samples together."""
    count = CHANNELS[layout.meaning]
    colour, alpha = bands[:count], None
    if layout.extras and layout.extras[0] in CLEAR:
        alpha = bands[count]
    if layout.meaning == GREY_INVERTED:
        colour = [_inverted(colour[0])]
    if layout.meaning == LAB:
        colour[1:] = [band.point([value ^ 128 for value in range(256)]) for band in colour[1:]]
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[count]
    mode = {LAB: "LAB", YCBCR: "YCbCr"}.get(layout.meaning, mode)
    image = colour[0] if count == 1 else Image.merge(mode, colour)
    if alpha is None or mode not in ("L", "RGB"):
        return image
    if layout.extras[0] == _PREMULTIPLIED:
        red, green, blue = (colour * 3)[:3]
        return Image.merge("RGBa", (red, green, blue, alpha))
    image.putalpha(alpha)
    return image


def _inverted(image: Image.Image) -> Image.Image:
    """Return a picture whose white was 0."""
    if image.mode in ("1", "L"):
        return ImageChops.invert(image.convert("L"))
    if image.mode == "I;16":
        return ImageChops.invert(_high_bytes(image))
    black, white = value_range(image)
    total = black + white
    return image.point(lambda value: value * -1.0 + total)


def _high_bytes(image: Image.Image) -> Image.Image:
    return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")


def _rounded(high: Image.Image, low: Image.Image) -> Image.Image:
    """Return 16-bit samples divided by 257, from their two bytes."""
    up = ImageChops.subtract(low, high).point([0] * 129 + [1] * 127)
    down = ImageChops.subtract(high, low).point([0] * 129 + [1] * 127)
    return ImageChops.subtract(ImageChops.add(high, up), down)


def _scaled_12(image: Image.Image) -> Image.Image:
    return image.convert("I").point(lambda value: value * (255 / 4095) + 0.5).convert("L")
