"""Pictograms by their code points: several vendors' renderings of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gallery import demo
from gallery.pictograms import TONES, is_shown

TONE_SHARE = 0.12  # a gesture comes in six skin tones, and is not six times as important

_SELECTOR = "fe0f"
_TONES = frozenset(f"{tone:x}" for tone in TONES)
_SUFFIXES = (".png", ".webp")


@dataclass(frozen=True)
class Rendering:
    """One vendor's picture of a pictogram, in a file; opened where it is needed."""

    path: Path

    def open(self, background: str | tuple[int, ...] = "white") -> Image.Image:
        """Return the picture as RGB, on a background where it is transparent."""
        with Image.open(self.path) as file:
            image = file.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")


def renderings(folder: Path) -> dict[str, Rendering]:
    """Find one vendor's pictograms by plain code; files are named by code points, as packages have them."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    return {plain_code(path.stem): Rendering(path) for path in paths}


def plain_code(code: str) -> str:
    """Return the code points of a pictogram in the form that every source can be brought to.

    Sources disagree on letters' case and on the variation selector U+FE0F, which changes no picture here.

    Examples
    --------
    >>> plain_code("2764-FE0F")
    '2764'
    """
    return "-".join(point for point in code.lower().split("-") if point != _SELECTOR)


def draw_openmoji() -> tuple[str, Iterator[tuple[str, Image.Image]]]:
    """Draw every pictogram of the demo gallery, as it is drawn there.

    Returns
    -------
    str
        The package's version.
    iterator of (str, PIL.Image.Image)
        Plain code and picture.
    """
    data = demo.package_data()
    font = demo.open_font(data)
    shown = (code for code in data.codes if is_shown(code))
    return data.version, ((plain_code(code), demo.draw(code, font)) for code in shown)


def is_toned(code: str) -> bool:
    """Return whether a plain code names a skin tone beside something else."""
    return any(point in _TONES for point in code.split("-")[1:])


class Pictograms:
    """Pictograms that at least two vendors have drawn.

    Parameters
    ----------
    folders : sequence of Path
        One for each vendor; see `renderings`.

    Attributes
    ----------
    codes : list of str
        Their plain codes, sorted.

    Raises
    ------
    ValueError
        No pictogram is in two of the folders.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        found: dict[str, list[Rendering]] = {}
        for folder in folders:
            for code, rendering in renderings(folder).items():
                found.setdefault(code, []).append(rendering)
        self._renderings = {code: drawn for code, drawn in sorted(found.items()) if len(drawn) > 1}
        self.codes = list(self._renderings)
        if not self.codes:
            raise ValueError("no pictogram is in two of the folders; a vendor's files are named CODE.png.")
        chances = np.array([TONE_SHARE if is_toned(code) else 1.0 for code in self.codes])
        self._chances = chances / chances.sum()

    def draw(self, rng: np.random.Generator) -> tuple[int, Rendering, Rendering]:
        """Return the number of a random pictogram in `codes`, and two vendors' renderings of it."""
        number = int(rng.choice(len(self.codes), p=self._chances))
        drawn = self._renderings[self.codes[number]]
        first, second = rng.choice(len(drawn), 2, replace=False)
        return number, drawn[first], drawn[second]
