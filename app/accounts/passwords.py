"""Hash passwords, and check new ones against the four rules.

Called by `forms`, `service`, the page that checks a password while it is typed, and `flask user`.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext as _

MIN_LENGTH = 8
MAX_BYTES = 1024
PRODUCT = "vitrine"
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
MIN_STEPS = 4  # breaks in a password that follows the alphabet, the digits or a row of the keyboard
TOO_SIMILAR = 0.7  # as in Django's validator

# OWASP's minimum for Argon2id (password storage cheat sheet): 19 MiB, 2 passes, 1 lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# The hash of discarded random bytes. Verified when a name is unknown, so that both cases take the same time.
DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$xWXJhYYjw2VNUA4FlRjgsA$HC7dJlmTc/BWHPBgNZ1iwXC/oRh4LLCvWass5BZsnoc"
)


class Failure(NamedTuple):
    """A rule that a password does not meet, and the message to show."""

    rule: str
    message: str


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password that `failures` has accepted."""
    return HASHER.hash(_bytes(password))


def verify(password: str, stored: str | None) -> bool:
    """Return whether `password` matches the hash `stored`; None takes the same time and returns False."""
    known = stored if stored is not None else DUMMY_HASH
    try:
        HASHER.verify(known, _bytes(password)[:MAX_BYTES])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None and len(_bytes(password)) <= MAX_BYTES


def outdated(stored: str) -> bool:
    """Return whether the hash was made with parameters other than the current ones."""
    return HASHER.check_needs_rehash(stored)


def failures(password: str, name: str) -> list[Failure]:
    """Return the rules that a new password for the account `name` does not meet."""
    if len(_bytes(password)) > MAX_BYTES:
        return [
            Failure("length", _("The password is too long. Use at most %(limit)s bytes.", limit=MAX_BYTES))
        ]
    found = []
    if len(password) < MIN_LENGTH:
        found.append(Failure("length", _("Use at least %(count)s characters.", count=MIN_LENGTH)))
    if re.fullmatch(r"\s*\d*\s*", password):
        found.append(Failure("digits", _("Do not use digits only.")))
    if _like(password.casefold(), name.casefold()):
        found.append(Failure("similar", _("The password is too similar to your name.")))
    if _easy_to_guess(password.casefold().strip()):
        found.append(Failure("common", _("This password is easy to guess. Choose another one.")))
    return found


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _like(password: str, name: str) -> bool:
    """Compare a password with a name and its parts; strings of very different lengths are not alike."""
    for part in {name, *re.split(r"[\W_]+", name)}:
        if len(part) < 3:
            continue
        if part in password and len(part) * 2 >= len(password):
            return True
        comparable = len(password) < 10 * len(part)
        if comparable and SequenceMatcher(a=password, b=part).quick_ratio() >= TOO_SIMILAR:
            return True
    return False


def _easy_to_guess(password: str) -> bool:
    """Return whether a password is common, a repetition, a sequence, or little more than our name."""
    if not password or password in _common():
        return True
    if len(password) < MIN_LENGTH:  # reported as too short; anything else would flicker while it is typed
        return False
    if PRODUCT in password and len(PRODUCT) * 2 >= len(password):
        return True
    if re.fullmatch(r"(.{1,4})\1+", password):
        return True
    return 1 + sum(not _in_sequence(*pair) for pair in pairwise(password)) < MIN_STEPS


def _in_sequence(first: str, second: str) -> bool:
    """Return whether two characters are equal, or neighbours in the alphabet or in a keyboard row."""
    if abs(ord(first) - ord(second)) <= 1:
        return True
    return any(
        abs(row.find(first) - row.find(second)) == 1 for row in KEYBOARD if first in row and second in row
    )


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
