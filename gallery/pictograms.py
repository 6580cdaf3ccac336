"""Names and folders for OpenMoji's pictograms, whose files are named by code points only.

Called by `gallery.demo`; standard library, and Babel for the names of countries.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path

_NAMES = Path(__file__).with_name("pictogram_names.txt")

TONES = frozenset(range(0x1F3FB, 0x1F400))
"""Modifiers that give the person or hand before them one of five skin tones."""

_JOINERS = frozenset({0x200D, 0xFE0F, 0x20E3})
_FLAG_LETTER, _BLACK_FLAG, _TAGS = 0x1F1E6, 0x1F3F4, 0xE0000

# The meaning of a character inside a sequence, where its own name would mislead.
_MEANINGS = {
    0x2640: "woman",
    0x2642: "man",
    0x2695: "health worker",
    0x2696: "judge",
    0x2708: "pilot",
    0x27A1: "facing right",
    0x2B1B: "black",
    0x2B1C: "white",
    0x1F33E: "farmer",
    0x1F373: "cook",
    0x1F37C: "feeding baby",
    0x1F384: "with christmas tree",
    0x1F393: "student",
    0x1F3A4: "singer",
    0x1F3A8: "artist",
    0x1F3EB: "teacher",
    0x1F3ED: "factory worker",
    0x1F4BB: "technologist",
    0x1F4BC: "office worker",
    0x1F527: "mechanic",
    0x1F52C: "scientist",
    0x1F680: "astronaut",
    0x1F692: "firefighter",
    0x1F7E5: "red",
    0x1F7E6: "blue",
    0x1F7E7: "orange",
    0x1F7E8: "yellow",
    0x1F7E9: "green",
    0x1F7EA: "purple",
    0x1F7EB: "brown",
    0x1F91D: "holding hands with",
    0x1F9AF: "with cane",
    0x1F9B0: "with red hair",
    0x1F9B1: "with curly hair",
    0x1F9B2: "bald",
    0x1F9B3: "with white hair",
    0x1F9BC: "in motorized wheelchair",
    0x1F9BD: "in manual wheelchair",
}

# Folders by the first character, close to Unicode's own groups; the first match counts.
_FOLDERS = {
    "flags": "1F38C 1F3C1 1F3F3-1F3F4 1F6A9",
    "smileys": "2620 2639-263A 2763-2764 1F440-1F441 1F479-1F47B 1F47D-1F480 1F48B-1F48C 1F493-1F49F 1F4A2 "
    "1F4A4-1F4A6 1F4A8-1F4A9 1F4AB 1F5A4 1F600-1F644 1F648-1F64A 1F90D-1F90E 1F910-1F917 1F920-1F925 "
    "1F927-1F92F 1F970-1F976 1F978-1F97A 1F9D0 1F9E1 1FAE0-1FAE7",
    "people": "261D 26F7 26F9 270A-270D 1F385 1F3C2-1F3C4 1F3C7 1F3CA-1F3CC 1F442-1F450 1F463-1F478 1F47C "
    "1F481-1F483 1F485-1F487 1F48F 1F491 1F4AA 1F574-1F575 1F57A 1F590 1F595-1F596 1F5E3 1F645-1F647 "
    "1F64B-1F64F 1F6A3 1F6B4-1F6B6 1F6C0 1F6CC 1F90C 1F90F 1F918-1F91F 1F926 1F930-1F93E 1F977 1F9B4-1F9B9 "
    "1F9BB 1F9CD-1F9CF 1F9D1-1F9E0 1FAC0-1FAC5 1FAF0-1FAF6 1FBC5-1FBC9",
    "animals": "1F400-1F43F 1F54A 1F577-1F578 1F980-1F9AE 1FAB0-1FAB3 1FAB6 1FAB8 1FABA",
    "plants": "2618 1F331-1F335 1F337-1F33C 1F33E-1F344 1F38B 1F38D 1F3F5 1F490 1F940 1FAB4-1FAB9",
    "food": "2615 1F32D-1F330 1F336 1F33D 1F345-1F37F 1F382 1F942-1F944 1F950-1F96F 1F9C0-1F9CB 1FAD0-1FAD9",
    "places": "2600-2604 26C4-26C5 26C8 26E9-26EA 26F0-26F2 26F4 26FA 2744 2728 2B50 1F300-1F321 "
    "1F324-1F32C 1F3A0-1F3A2 1F3AA 1F3D4-1F3F0 1F492 1F4A5 1F4A7 1F525 1F54B-1F54D 1F5FA-1F5FF 1F6D5-1F6D6 "
    "1F6DD 1FA90 1FAA8",
    "transport": "2693 26F5 26FD 2708 1F3CD-1F3CE 1F680-1F6A2 1F6A4-1F6A8 1F6B2 1F6E2-1F6E5 1F6E9 "
    "1F6EB-1F6EC 1F6F0-1F6FC 1F6DE-1F6DF 1F9BC-1F9BD 1FA82",
    "objects": "231A-231B 2328 23F0-23F3 260E 2692-2694 2696-2697 2699 26B0-26B1 26BD-26BE 26CF 26D1 26D3 "
    "2702 2709 270F 2712 1F380-1F393 1F396-1F3D3 1F3F7-1F3FA 1F451-1F462 1F484 1F488-1F48A 1F48D-1F48E "
    "1F4A1 1F4A3 1F4B0-1F4FF 1F50B-1F516 1F526-1F52E 1F549-1F570 1F573 1F576 1F579 1F587-1F58D "
    "1F5A5-1F5E1 1F5F3 1F6AA 1F6BD-1F6BF 1F6C1 1F6CB-1F6D2 1F6E0-1F6E1 1F93F-1F949 1F94A-1F94F "
    "1F97B-1F97F 1F9AF 1F9E2-1F9FF 1FA70-1FAAE",
}
_OTHER_FOLDER = "symbols"


def is_shown(code: str) -> bool:
    """Return whether a pictogram belongs in the gallery.

    People and hands are shown once, without a skin tone: with six versions each, one gesture would fill most
    of a Top-10. Private characters without a name are not shown (they include brands), and neither are
    characters that only join others.

    Parameters
    ----------
    code : str
        Hexadecimal code points joined by hyphens, such as ``1F468-200D-1F33E``.
    """
    points = code_points(code)
    if points[0] in _JOINERS:
        return False
    if 0xE000 <= points[0] <= 0xF8FF and points[0] not in _named():
        return False
    return TONES.isdisjoint(points[1:])


def code_points(code: str) -> list[int]:
    """Return the code points of a text like ``1F468-200D-1F33E``."""
    return [int(part, 16) for part in code.split("-")]


def path_for(code: str) -> str:
    """Return folder and readable English name of a pictogram, such as ``animals/cat-face``."""
    points = code_points(code)
    if words := _flag(points):
        folder = "flags"
    else:
        words = _words(points)
        folder, _ = _named().get(points[0]) or (_folder(points[0]), "")
    return f"{folder}/{re.sub('[^a-z0-9]+', '-', words.lower()).strip('-')}"


def _words(points: list[int]) -> str:
    """Return a name for a sequence, made from its parts."""
    parts = [point for point in points if point not in _JOINERS]
    keycap = ["keycap"] if 0x20E3 in points else []
    return " ".join(keycap + [_word(point, at == 0) for at, point in enumerate(parts)])


def _word(point: int, itself: bool) -> str:
    if not itself and point in _MEANINGS:
        return _MEANINGS[point]
    if point in _named():
        return _named()[point][1]
    return unicodedata.name(chr(point), f"u{point:x}")


def _flag(points: list[int]) -> str:
    """Return the name of the flag of a country or region; empty for anything else."""
    if points[0] == _BLACK_FLAG and points[-1] > _TAGS:
        region = "".join(chr(point - _TAGS) for point in points[1:-1])
        return f"flag {region[:2]} {region[2:]}"
    if len(points) != 2 or not all(0 <= point - _FLAG_LETTER < 26 for point in points):
        return ""
    code = "".join(chr(ord("A") + point - _FLAG_LETTER) for point in points)
    # Imported here: only this gallery needs the names of countries.
    from babel import Locale

    name = unicodedata.normalize("NFKD", Locale("en").territories.get(code, code))
    return "flag " + "".join(char for char in name if not unicodedata.combining(char))


@functools.cache
def _named() -> dict[int, tuple[str, str]]:
    """Return folder and name of the characters that have no name in Unicode's tables."""
    names: dict[int, tuple[str, str]] = {}
    folder = ""
    for line in _NAMES.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            folder = line.strip("[]")
        elif line and not line.startswith("#"):
            point, _, name = line.partition(" ")
            names[int(point, 16)] = folder, name
    return names


def _folder(point: int) -> str:
    return next(
        (name for name, ranges in _folder_ranges() if any(point in span for span in ranges)), _OTHER_FOLDER
    )


@functools.cache
def _folder_ranges() -> list[tuple[str, list[range]]]:
    def span(text: str) -> range:
        first, _, last = text.partition("-")
        return range(int(first, 16), int(last or first, 16) + 1)

    return [(name, [span(part) for part in spans.split()]) for name, spans in _FOLDERS.items()]
