"""Failures as pictures: ``python -m training.sheet CHECKPOINT SHEET --photographs DIR --vendor NAME=DIR``.

Only OpenMoji's pictograms are shown, which may be passed on with attribution. Of a photograph there is the
name, and of another vendor's pictogram the rendering that it should have found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gallery.pictograms import path_for
from model.pictures import open_rgb
from training.changes import MILD
from training.encoders import Encode, Vectors, encode_all, encoder_of
from training.evaluate import TOP, seek_renderings
from training.lists import fitting, read_list
from training.pictograms import draw_openmoji

_SIDE, _TEXT, _GAP = 72, 190, 4
_OF_EACH = 5
_EVERY = 8  # of the pictograms is cropped: enough to find some that fail
_CREDIT = "Pictograms: OpenMoji, the open-source emoji and icon project, CC BY-SA 4.0, https://openmoji.org"


class Row(NamedTuple):
    """One failed search.

    Attributes
    ----------
    title : str
    sought : PIL.Image.Image or None
        What was asked with or should have been found, where it may be shown.
    hits : list of PIL.Image.Image
    """

    title: str
    sought: Image.Image | None
    hits: list[Image.Image]


class Drawings(NamedTuple):
    """The demo gallery's pictograms and their vectors."""

    codes: Sequence[str]
    pictures: Sequence[Image.Image]
    vectors: Vectors

    def nearest(self, query: Vectors) -> list[Image.Image]:
        """Return the ten pictures nearest to a unit vector."""
        return [self.pictures[at] for at in (self.vectors @ query).argsort()[::-1][:TOP]]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.sheet", description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("sheet", type=Path, metavar="SHEET")
    parser.add_argument("--photographs", type=Path, metavar="DIR", required=True)
    parser.add_argument("--vendor", metavar="NAME=DIR", required=True)
    options = parser.parse_args(arguments)
    name, _, folder = options.vendor.partition("=")
    encode = encoder_of(options.checkpoint)
    codes, pictures = zip(*draw_openmoji()[1], strict=True)
    drawings = Drawings(codes, pictures, encode_all(encode, pictures))
    rows = [
        *_everyday(encode, options.photographs, drawings),
        *_renderings(encode, name, Path(folder), drawings),
        *_cropped(encode, drawings),
    ]
    draw_sheet(rows).save(options.sheet, optimize=True)
    return 0


def _everyday(encode: Encode, folder: Path, drawings: Drawings) -> Iterator[Row]:
    names = [path_for(code) for code in drawings.codes]
    for thing, patterns in read_list("everyday"):
        (path,) = folder.glob(f"n*_{thing}.JPEG")
        query = encode([open_rgb(path)])[0]
        found = [names[at] for at in (drawings.vectors @ query).argsort()[::-1][:TOP]]
        if not fitting(found, patterns):
            yield Row(f"a photograph: {thing}", None, drawings.nearest(query))


def _renderings(encode: Encode, name: str, folder: Path, drawings: Drawings) -> Iterator[Row]:
    sought = seek_renderings(encode, folder, drawings.codes, drawings.vectors)
    missed = np.flatnonzero(sought.ranks >= TOP)
    for at in missed[:: max(1, len(missed) // _OF_EACH)][:_OF_EACH]:
        picture = drawings.pictures[sought.right[at]]
        yield Row(f"{name}'s rendering of", picture, drawings.nearest(sought.vectors[at]))


def _cropped(encode: Encode, drawings: Drawings) -> Iterator[Row]:
    queries = [MILD["cropped to 60 %"](picture) for picture in drawings.pictures[::_EVERY]]
    vectors = encode_all(encode, queries)
    nearest = (vectors @ drawings.vectors.T).argmax(axis=1)
    missed = np.flatnonzero(nearest != _EVERY * np.arange(len(vectors)))
    for at in missed[:: max(1, len(missed) // _OF_EACH)][:_OF_EACH]:
        yield Row("cropped to 60 %", queries[at], drawings.nearest(vectors[at]))


def draw_sheet(rows: Sequence[Row]) -> Image.Image:
    """Draw failed searches one below the other: title, what was sought, the ten hits."""
    step, font = _SIDE + _GAP, ImageFont.load_default(13)
    sheet = Image.new("RGB", (_TEXT + (TOP + 1) * step + 24, (len(rows) + 1) * step), "white")
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = number * step
        pen.text((_GAP, top + _SIDE // 2), row.title, "black", font, anchor="lm")
        if row.sought is not None:
            sheet.paste(_thumbnail(row.sought), (_TEXT, top))
        for place, hit in enumerate(row.hits):
            sheet.paste(_thumbnail(hit), (_TEXT + 24 + (place + 1) * step, top))
    pen.text((_GAP, len(rows) * step + _SIDE // 2), _CREDIT, "black", font, anchor="lm")
    return sheet


def _thumbnail(picture: Image.Image) -> Image.Image:
    return picture.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    raise SystemExit(main())
