"""How the samples of a TIFF file are stored, and which of Pillow's modes shows them right.

TIFF stores samples in any width, number and order, and Pillow misreads some combinations without an error:
planes of 16 bits, inverted 16-bit grey, 32-bit values of a big-endian file. So the combination is judged
here: what is not known to be right is refused as unsupported. Called by `model.pictures.tiff`. Imports
Pillow's table of compressions and the package's own modules.

References
----------
TIFF 6.0; Adobe Photoshop TIFF Technical Notes (2002).
"""

from __future__ import annotations

from typing import NamedTuple

from PIL.TiffImagePlugin import COMPRESSION_INFO

from model.errors import PictureError
from model.pictures.directories import Directory

BITS, COMPRESSION, MEANING, SAMPLES, PLANES, EXTRAS, FORMAT = 258, 259, 262, 277, 284, 338, 339
_INKS, _SUBSAMPLING = 332, 530
MAX_VALUES = 1024
"""Values that a tag of this kind may have."""

GREY_INVERTED, GREY, _RGB, PALETTE, _INK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
CHANNELS = {GREY_INVERTED: 1, GREY: 1, _RGB: 3, PALETTE: 1, _INK: 4, YCBCR: 3, LAB: 3}
"""Samples of a colour by photometric interpretation, without extra samples."""

OLD_JPEG = 6
UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
CLEAR = {1: "a", 2: "A", 999: "A"}
"""Kinds of extra samples that are transparency, premultiplied or not; Corel Draw writes 999."""

# Mode and raw mode of grey by sample format and bits.
_WIDE = {
    (UNSIGNED, 16): ("I;16", "I;16N"),
    (UNSIGNED, 32): ("I", "I;32N"),
    (_SIGNED, 16): ("I", "I;16NS"),
    (_SIGNED, 32): ("I", "I;32NS"),
    (_FLOAT, 32): ("F", "F;32NF"),
    (_FLOAT, 64): ("F", "F;64NF"),
    (UNSIGNED, 12): ("I;16", "I;12"),
}


class Layout(NamedTuple):
    """How samples are stored: `meaning` is the photometric interpretation, `planes` if they are apart."""

    meaning: int
    bits: int
    format: int
    extras: tuple[int, ...]
    planes: bool

    @property
    def samples(self) -> int:
        """Number of samples of a pixel."""
        return CHANNELS[self.meaning] + len(self.extras)


def layout_of(directory: Directory) -> Layout:
    """Return how a file's samples are stored.

    Raises
    ------
    PictureError
        ``unsupported_kind``: they cannot be decoded right.
    """
    compression = directory.number(COMPRESSION, 1)
    meaning = YCBCR if compression == OLD_JPEG else directory.number(MEANING, GREY_INVERTED)
    bits = directory.numbers(BITS, MAX_VALUES) or (1,)
    formats = {1 if each == 4 else each for each in directory.numbers(FORMAT, MAX_VALUES)} or {UNSIGNED}
    samples = directory.number(SAMPLES, 3 if compression == OLD_JPEG else 1)
    planes = directory.number(PLANES, 1) == 2 and samples > 1
    if compression not in COMPRESSION_INFO or meaning not in CHANNELS or len(formats) > 1:
        raise unsupported(f"compression {compression}, photometric interpretation {meaning}")
    spare = samples - CHANNELS[meaning]
    if not 0 <= spare <= 4:
        raise unsupported(f"{samples} samples per pixel, photometric interpretation {meaning}")
    extras = (directory.numbers(EXTRAS, MAX_VALUES) + (0,) * spare)[:spare]
    if spare == 1 and meaning == _RGB and EXTRAS not in directory.entries:
        extras = (2,)  # many programs leave out what the fourth sample is
    layout = Layout(meaning, bits[0], formats.pop(), extras, planes)
    described = f"{layout.samples} samples of {'/'.join(map(str, bits[:6]))} bits"
    if (
        len({*bits[:samples]}) > 1
        or not (layout.planes or modes_of(layout))
        or not _possible(layout, directory)
    ):
        kind = {_FLOAT: ", floating point", _SIGNED: ", signed"}.get(layout.format, "")
        raise unsupported(f"{described}{kind}, photometric interpretation {meaning}")
    return layout


def _possible(layout: Layout, directory: Directory) -> bool:
    """Return whether separate planes can be decoded, and the rest of the directory is what it should be."""
    if layout.planes:
        alone = modes_of(Layout(GREY, layout.bits, layout.format, (), False))
        joined = layout.bits in (8, 16) and layout.format == UNSIGNED and layout.meaning != PALETTE
        plain = layout.meaning != YCBCR or directory.numbers(_SUBSAMPLING, 16) == (1, 1)
        return alone is not None and joined and plain
    return layout.meaning != _INK or directory.number(_INKS, 1) == 1


def modes_of(layout: Layout) -> tuple[str, str] | None:
    """Return Pillow's mode and raw mode for samples side by side, or None if there is none that is right."""
    meaning, bits, extras = layout.meaning, layout.bits, len(layout.extras)
    grey = meaning in (GREY, GREY_INVERTED)
    if layout.format != UNSIGNED or bits in (12, 32, 64):
        return _WIDE.get((layout.format, bits)) if grey and not extras else None
    if bits in (1, 2, 4) and not extras and (grey or meaning == PALETTE):
        return {1: ("1", "1")}.get(bits, ("L", f"L;{bits}")) if grey else ("P", f"P;{bits}")
    if bits not in (8, 16):
        return None
    single = grey or (meaning == PALETTE and bits == 8)
    return _modes_of_grey(bits, extras) if single else _modes_of_colour(layout)


def _modes_of_grey(bits: int, extras: int) -> tuple[str, str] | None:
    """Return the modes of grey and palettes; several samples lie as those of other modes do."""
    if bits == 16:
        wide = {0: ("I;16", "I;16N"), 1: ("RGBA", "RGBA"), 2: ("RGB", "RGB;16N"), 3: ("RGBA", "RGBA;16N")}
        return wide.get(extras)
    return {0: ("L", "L"), 1: ("LA", "LA"), 2: ("RGB", "RGB"), 3: ("RGBA", "RGBA")}.get(extras)


def _modes_of_colour(layout: Layout) -> tuple[str, str] | None:
    meaning, bits, extras = layout.meaning, layout.bits, len(layout.extras)
    wide = ";16N" if bits == 16 else ""
    if meaning == _RGB:
        alpha = CLEAR.get(layout.extras[0]) if extras else None
        rest = "X" * (extras - 1 if alpha else extras)
        if bits == 16 and extras > 1:
            return None
        return ("RGBA", f"RGB{alpha}{rest}{wide}") if alpha else ("RGB", f"RGB{rest}{wide}")
    if meaning == _INK:
        return ("CMYK", "CMYK" + "X" * extras + wide) if extras <= (2 if bits == 8 else 0) else None
    if meaning == LAB and not extras:
        return ("LAB", "LAB") if bits == 8 else ("RGB", "RGB;16N")
    return ("RGB", "RGBX") if meaning == YCBCR and not extras and bits == 8 else None


def unsupported(detail: str) -> PictureError:
    """Return the refusal of a kind of TIFF."""
    return PictureError("unsupported_kind", f"this kind of TIFF is not supported: {detail}")
