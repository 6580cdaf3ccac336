"""Which names there may be, and when two of them are one.

A name is shown as it was typed (after NFKC), and known by its key: case folded, and letters of other scripts
that look like Latin ones replaced by these. Letters of two scripts in one name are refused.
"""

from __future__ import annotations

import unicodedata

MIN_LENGTH, MAX_LENGTH = 2, 32
PUNCTUATION = "._-"

# Scripts that are written together; every other script stands alone.
TOGETHER = {"CJK": "EAST", "HIRAGANA": "EAST", "KATAKANA": "EAST", "HANGUL": "EAST", "BOPOMOFO": "EAST"}

# Small letters of Cyrillic and Greek that can be taken for Latin ones (after Unicode TR 39, confusables).
LOOK_ALIKES = str.maketrans(
    "авсԁеѓгһніїјкӏмпорԛѕтцѵԝхуαϲεικηορτυνωχγ",
    "abcderrhhiijklmnopqstuvwxyaceiknoptuvwxy",
)


def clean(name: str) -> str:
    """Return the name as it is shown: NFKC, without space around it."""
    return unicodedata.normalize("NFKC", name).strip()


def key(name: str) -> str:
    """Return what the name is known by; names with one key are one name."""
    folded = unicodedata.normalize("NFKC", clean(name).casefold())
    return folded.translate(LOOK_ALIKES)


def allowed(name: str) -> bool:
    """Whether a cleaned name may be taken: 2 to 32 letters of one script, digits, ``. _ -`` between."""
    if not MIN_LENGTH <= len(name) <= MAX_LENGTH or name[0] in PUNCTUATION or name[-1] in PUNCTUATION:
        return False
    scripts = set()
    for character in name:
        if character in PUNCTUATION or character in "0123456789":
            continue
        if unicodedata.category(character)[0] not in "LM":
            return False
        scripts.add(_script(character))
    return len(scripts) <= 1


def _script(letter: str) -> str:
    """The first word of the character's name is its script; combining marks of no script say COMBINING."""
    word = unicodedata.name(letter, "UNKNOWN").split()[0]
    return TOGETHER.get(word, word)
