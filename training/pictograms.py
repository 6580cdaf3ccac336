"""Pictograms by their code points."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from gallery import demo
from gallery.pictograms import TONES, is_shown

_SELECTOR = "fe0f"
_TONES = frozenset(f"{tone:x}" for tone in TONES)


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
    """Whether a plain code names a skin tone beside something else."""
    return any(point in _TONES for point in code.split("-")[1:])
