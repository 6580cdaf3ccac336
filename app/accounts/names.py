"""Which account names are allowed, and when two names are the same.

A name is shown as it was typed (after NFKC) and identified by its key, which is case-folded and has letters
of other scripts replaced by the Latin letters that they look like. Called by `forms` and `service`.
"""

from __future__ import annotations

import unicodedata

MIN_LENGTH, MAX_LENGTH = 2, 32
PUNCTUATION = "._-"

# The first words of Unicode names, where they are not the script: 々 is ideographic, ー is in both kana.
SCRIPTS = {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA"}
# Scripts that may be mixed: those of Japanese, Korean and Chinese, and Latin with Chinese characters.
TOGETHER = (frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}), frozenset({"LATIN", "CJK"}))
STROKES = frozenset("丨丶丿亅")  # next to Latin letters they look like l, ' and /

# Small Cyrillic and Greek letters that look like Latin ones (from the confusables of Unicode TR 39).
LOOK_ALIKES = str.maketrans(
    "авсԁеѓгһніїјкӏмпорԛѕтцѵԝхуαϲεικηορτυνωχγ",
    "abcderrhhiijklmnopqstuvwxyaceiknoptuvwxy",
)


def clean(name: str) -> str:
    """Return the name as it is shown: NFKC, without surrounding white space."""
    return unicodedata.normalize("NFKC", name).strip()


def key(name: str) -> str:
    """Return the key that identifies a name; names with the same key are the same name."""
    folded = unicodedata.normalize("NFKC", clean(name).casefold())
    return folded.translate(LOOK_ALIKES)


def allowed(name: str) -> bool:
    """Return whether a cleaned name is allowed: 2 to 32 letters or digits, ``._-`` between them."""
    if not MIN_LENGTH <= len(name) <= MAX_LENGTH or name[0] in PUNCTUATION or name[-1] in PUNCTUATION:
        return False
    scripts = set()
    for character in name:
        if character in PUNCTUATION or character in "0123456789":
            continue
        if unicodedata.category(character)[0] not in "LM":
            return False
        scripts.add(_script(character))
    if "LATIN" in scripts and STROKES & set(name):
        return False
    return len(scripts) <= 1 or any(scripts <= together for together in TOGETHER)


def _script(letter: str) -> str:
    """Return the script of a letter, which is the first word of its Unicode name (COMBINING for marks)."""
    word = unicodedata.name(letter, "UNKNOWN").split()[0]
    return SCRIPTS.get(word, word)
