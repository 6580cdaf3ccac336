"""TIFF: the directory read by own code, the pixels by libtiff.

TIFF stores samples in any width, number and order, and Pillow misreads some combinations without an error:
planes of 16 bits, inverted 16-bit grey, 32-bit values of a big-endian file. So the directory is judged here:
what is not known to be right is refused as unsupported. libtiff gets the file with a new directory at its
end, which lists only what decoding needs; of separate planes, one plane at a time. Imports Pillow and the
package's own modules.

References
----------
TIFF 6.0; Adobe Photoshop TIFF Technical Notes (2002).
"""

from __future__ import annotations

import struct
import sys
from typing import NamedTuple

from PIL import Image, ImageChops
from PIL.TiffImagePlugin import COMPRESSION_INFO

from model.errors import PictureError
from model.pictures import decoders
from model.pictures.colour import value_range
from model.pictures.directories import ORIENTATION, Directory, upright
from model.pictures.opened import Opened
from model.pictures.profiles import MAX_PROFILE

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _MEANING, _FILL = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_SIZES, _PLANES = 273, 277, 278, 279, 284
_COLOURS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = 320, 322, 323, 324, 325
_EXTRAS, _FORMAT, _SUBSAMPLING, _PROFILE, _INKS = 338, 339, 530, 34675, 332
_COPIED = {_WIDTH, _HEIGHT, _COMPRESSION, _FILL, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, 292, 293, 317, 347}
_COPIED |= {*range(512, 522), 529, 530, 531, 532}
_MAX_VALUES, _MAX_TABLE = 1024, 1 << 16
MAX_STRIPS = 200_000
_MAX_TILE = 1 << 24

_GREY_INVERTED, _GREY, _RGB, _PALETTE, _INK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_CHANNELS = {_GREY_INVERTED: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _INK: 4, _YCBCR: 3, _LAB: 3}
_OLD_JPEG, _JPEG = 6, 7
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_PREMULTIPLIED = 1
_CLEAR = {1: "a", 2: "A", 999: "A"}

# Mode and raw mode of grey by sample format and bits.
_WIDE = {
    (_UNSIGNED, 16): ("I;16", "I;16N"),
    (_UNSIGNED, 32): ("I", "I;32N"),
    (_SIGNED, 16): ("I", "I;16NS"),
    (_SIGNED, 32): ("I", "I;32NS"),
    (_FLOAT, 32): ("F", "F;32NF"),
    (_FLOAT, 64): ("F", "F;64NF"),
    (_UNSIGNED, 12): ("I;16", "I;12"),
}


class _Layout(NamedTuple):
    """How samples are stored."""

    meaning: int
    bits: int
    format: int
    extras: tuple[int, ...]
    planes: bool

    @property
    def samples(self) -> int:
        return _CHANNELS[self.meaning] + len(self.extras)


def read(file: decoders.BudgetedFile) -> Opened:
    """Read the directory of a TIFF file.

    Raises
    ------
    PictureError
        ``broken``, or ``unsupported_kind`` if the samples are stored in a way that cannot be decoded right.
    """
    directory = Directory(file)
    width, height = (directory.number(tag, 0) for tag in (_WIDTH, _HEIGHT))
    layout = _layout(directory)
    return Opened(
        "TIFF",
        width,
        height,
        lambda reduction: _Decoder(file, directory, layout, (width, height)).decode(),
        upright(directory.number(ORIENTATION, 1)),
        directory.content(_PROFILE, MAX_PROFILE),
    )


def _layout(directory: Directory) -> _Layout:
    compression = directory.number(_COMPRESSION, 1)
    meaning = _YCBCR if compression == _OLD_JPEG else directory.number(_MEANING, _GREY_INVERTED)
    bits = directory.numbers(_BITS, _MAX_VALUES) or (1,)
    formats = {1 if each == 4 else each for each in directory.numbers(_FORMAT, _MAX_VALUES)} or {_UNSIGNED}
    samples = directory.number(_SAMPLES, 3 if compression == _OLD_JPEG else 1)
    planes = directory.number(_PLANES, 1) == 2 and samples > 1
    if compression not in COMPRESSION_INFO or meaning not in _CHANNELS or len(formats) > 1:
        raise _unsupported(f"compression {compression}, photometric interpretation {meaning}")
    spare = samples - _CHANNELS[meaning]
    if not 0 <= spare <= 4:
        raise _unsupported(f"{samples} samples per pixel, photometric interpretation {meaning}")
    extras = (directory.numbers(_EXTRAS, _MAX_VALUES) + (0,) * spare)[:spare]
    if spare == 1 and meaning == _RGB and _EXTRAS not in directory.entries:
        extras = (2,)  # many programs leave out what the fourth sample is
    layout = _Layout(meaning, bits[0], formats.pop(), extras, planes)
    described = f"{layout.samples} samples of {'/'.join(map(str, bits[:6]))} bits"
    if (
        len({*bits[:samples]}) > 1
        or not (layout.planes or _modes(layout))
        or not _possible(layout, directory)
    ):
        kind = {_FLOAT: ", floating point", _SIGNED: ", signed"}.get(layout.format, "")
        raise _unsupported(f"{described}{kind}, photometric interpretation {meaning}")
    return layout


def _possible(layout: _Layout, directory: Directory) -> bool:
    """Return whether separate planes can be decoded, and the rest of the directory is what it should be."""
    if layout.planes:
        alone = _modes(_Layout(_GREY, layout.bits, layout.format, (), False))
        joined = layout.bits in (8, 16) and layout.format == _UNSIGNED and layout.meaning != _PALETTE
        plain = layout.meaning != _YCBCR or directory.numbers(_SUBSAMPLING, 16) == (1, 1)
        return alone is not None and joined and plain
    return layout.meaning != _INK or directory.number(_INKS, 1) == 1


def _modes(layout: _Layout) -> tuple[str, str] | None:
    """Return Pillow's mode and raw mode for samples side by side, or None if there is none that is right."""
    meaning, bits, extras = layout.meaning, layout.bits, len(layout.extras)
    grey = meaning in (_GREY, _GREY_INVERTED)
    if layout.format != _UNSIGNED or bits in (12, 32, 64):
        return _WIDE.get((layout.format, bits)) if grey and not extras else None
    if bits in (1, 2, 4) and not extras and (grey or meaning == _PALETTE):
        return {1: ("1", "1")}.get(bits, ("L", f"L;{bits}")) if grey else ("P", f"P;{bits}")
    if bits not in (8, 16):
        return None
    single = grey or (meaning == _PALETTE and bits == 8)
    return _modes_of_grey(bits, extras) if single else _modes_of_colour(layout)


def _modes_of_grey(bits: int, extras: int) -> tuple[str, str] | None:
    """Return the modes of grey and palettes; several samples lie as those of other modes do."""
    if bits == 16:
        wide = {0: ("I;16", "I;16N"), 1: ("RGBA", "RGBA"), 2: ("RGB", "RGB;16N"), 3: ("RGBA", "RGBA;16N")}
        return wide.get(extras)
    return {0: ("L", "L"), 1: ("LA", "LA"), 2: ("RGB", "RGB"), 3: ("RGBA", "RGBA")}.get(extras)


def _modes_of_colour(layout: _Layout) -> tuple[str, str] | None:
    meaning, bits, extras = layout.meaning, layout.bits, len(layout.extras)
    wide = ";16N" if bits == 16 else ""
    if meaning == _RGB:
        alpha = _CLEAR.get(layout.extras[0]) if extras else None
        rest = "X" * (extras - 1 if alpha else extras)
        if bits == 16 and extras > 1:
            return None
        return ("RGBA", f"RGB{alpha}{rest}{wide}") if alpha else ("RGB", f"RGB{rest}{wide}")
    if meaning == _INK:
        return ("CMYK", "CMYK" + "X" * extras + wide) if extras <= (2 if bits == 8 else 0) else None
    if meaning == _LAB and not extras:
        return ("LAB", "LAB") if bits == 8 else ("RGB", "RGB;16N")
    return ("RGB", "RGBX") if meaning == _YCBCR and not extras and bits == 8 else None


class _Decoder:
    """Decodes the first picture of a file.

    Parameters
    ----------
    file : BudgetedFile
    directory : Directory
        Of the file.
    layout : _Layout
    size : tuple of int
        Width and height as stored.
    """

    def __init__(
        self, file: decoders.BudgetedFile, directory: Directory, layout: _Layout, size: tuple[int, int]
    ) -> None:
        self._file, self._directory, self._layout, self._size = file, directory, layout, size
        self._compression = directory.number(_COMPRESSION, 1)
        self._offsets: tuple[int, ...] = ()
        self._lengths: tuple[int, ...] = ()
        self._per_plane = 0
        if self._compression != _OLD_JPEG:
            self._find_strips()
        file.seek(0)
        self._data = file.read(file.size)

    def decode(self) -> Image.Image:
        """Return the picture in a mode that `model.pictures.colour` knows."""
        layout = self._layout
        if layout.planes:
            bands = [self._plane(number) for number in range(layout.samples)]
            return _finished(layout, bands)
        modes = _modes(layout)
        if modes is None:
            raise _unsupported("unknown samples")
        mode, raw = modes
        if layout.meaning == _YCBCR and self._compression == _JPEG:
            raw = "RGB"
        image = self._run(mode, raw, 0, self._tags(None))
        if layout.meaning == _PALETTE:
            return self._coloured(image)
        if layout.meaning in (_GREY, _GREY_INVERTED) and (layout.extras or layout.bits == 1):
            return _finished(layout, _separated(image, layout))
        if layout.meaning == _LAB and layout.bits == 16:
            return _finished(layout, list(image.split()))
        if layout.bits == 32 and layout.format == _UNSIGNED and value_range(image)[0] < 0:
            # Pillow takes values beyond 2**31 as negative: the most significant byte is enough.
            image = self._run("RGBA", "RGBA", 0, self._tags(None))
            image = image.getchannel("A" if sys.byteorder == "little" else "R")
        if layout.bits == 12:
            image = _scaled_12(image)
        return _inverted(image) if layout.meaning == _GREY_INVERTED else image

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
        expected = self._per_plane * (self._layout.samples if self._layout.planes else 1)
        if expected > MAX_STRIPS:
            raise PictureError("broken", "the file is cut into too many small pieces")
        most = max(2 * expected, _MAX_VALUES)
        self._offsets = directory.numbers(_TILES if tiled else _STRIPS, most)
        self._lengths = directory.numbers(_TILE_SIZES if tiled else _STRIP_SIZES, most)
        if len(self._offsets) < expected or len(self._lengths) not in (0, len(self._offsets)):
            raise PictureError("broken", "the TIFF picture is damaged or cut off: strips are missing")
        ends = map(sum, zip(self._offsets[:expected], self._lengths, strict=False))
        if max(ends, default=0) > self._file.size:
            raise PictureError("broken", "the TIFF picture is cut off")
        self._tags_of_strips = (_TILES, _TILE_SIZES) if tiled else (_STRIPS, _STRIP_SIZES)

    def _plane(self, number: int) -> Image.Image:
        layout = _Layout(_GREY, self._layout.bits, self._layout.format, (), False)
        mode, raw = _modes(layout) or ("L", "L")
        plane = self._run(mode, raw, number, self._tags(number))
        return plane if plane.mode == "L" else _high_bytes(plane)

    def _tags(self, plane: int | None) -> dict[int, tuple[int, ...]]:
        """Return the tags that differ from the file's own."""
        layout = self._layout
        samples = layout.samples if plane is None else 1
        meaning = layout.meaning
        if plane is not None or meaning in (_GREY_INVERTED, _PALETTE):
            meaning = _GREY  # so that libtiff hands out the numbers as they are stored
        tags: dict[int, tuple[int, ...]] = {
            _BITS: (layout.bits,) * samples,
            _MEANING: (meaning,),
            _SAMPLES: (samples,),
            _PLANES: (1,),
            _FORMAT: (layout.format,) * samples,
        }
        if plane is None and layout.extras:
            tags[_EXTRAS] = tuple(each if each in (0, 1, 2) else 2 for each in layout.extras)
        if self._compression != _OLD_JPEG:
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
            old = tag in (_STRIPS, _STRIP_SIZES) and self._compression == _OLD_JPEG
            if (tag in _COPIED or old) and tag not in tags and entry.length <= _MAX_TABLE:
                entries.append((tag, entry.raw))
        for tag, values in tags.items():
            kind, code = (16, "Q") if big else (4, "I")
            if tag not in self._strip_tags():
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

    def _strip_tags(self) -> tuple[int, ...]:
        return (_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES)

    def _coloured(self, image: Image.Image) -> Image.Image:
        """Give the numbers of a palette their colours."""
        alpha = None
        if self._layout.extras:
            bands = image.split()
            alpha = bands[1] if self._layout.extras[0] in _CLEAR else None
            image = bands[0]
        size = 1 << self._layout.bits
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


def _separated(image: Image.Image, layout: _Layout) -> list[Image.Image]:
    """Return the 8-bit samples of grey that was decoded as another mode."""
    bands = list(image.split())
    if layout.bits == 16 and len(layout.extras) == 1:
        # Two samples of 16 bits lie where four of 8 bits would.
        little = sys.byteorder == "little"
        pairs = (bands[:2], bands[2:])
        return [_rounded(*reversed(pair)) if little else _rounded(*pair) for pair in pairs]
    return bands


def _finished(layout: _Layout, bands: list[Image.Image]) -> Image.Image:
    """Put 8-bit samples together."""
    count = _CHANNELS[layout.meaning]
    colour, alpha = bands[:count], None
    if layout.extras and layout.extras[0] in _CLEAR:
        alpha = bands[count]
    if layout.meaning == _GREY_INVERTED:
        colour = [_inverted(colour[0])]
    if layout.meaning == _LAB:
        colour[1:] = [band.point([value ^ 128 for value in range(256)]) for band in colour[1:]]
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[count]
    mode = {_LAB: "LAB", _YCBCR: "YCbCr"}.get(layout.meaning, mode)
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


def _unsupported(detail: str) -> PictureError:
    return PictureError("unsupported_kind", f"this kind of TIFF is not supported: {detail}")
