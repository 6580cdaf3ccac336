"""What the database keeps of the random tokens in cookies and API keys."""

from __future__ import annotations

import hashlib


def digest(token: str) -> str:
    """Return the SHA-256 of a random token, in hexadecimal.

    A token has 256 random bits, so a fast hash is enough: there is nothing to guess.
    """
    return hashlib.sha256(token.encode()).hexdigest()
