"""The hash under which the database stores the random tokens of cookies and API clients."""

from __future__ import annotations

import hashlib


def digest(token: str) -> str:
    """Return the SHA-256 of a random token in hexadecimal.

    A token has 256 random bits, so it cannot be guessed and a fast hash is enough.
    """
    return hashlib.sha256(token.encode()).hexdigest()
