"""Safe targets for redirects that a request asks for."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

OUR_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")
MAX_LENGTH = 2000


def safe_next(target: str | None, otherwise: str) -> str:
    r"""Return `target` if it is a path on this site, else `otherwise`.

    Browsers treat ``//host``, ``/\host`` and paths with control characters as addresses of other sites.
    """
    if not target or len(target) > MAX_LENGTH or not OUR_PATH.fullmatch(target):
        return otherwise
    try:
        parts = urlsplit(target)
    except ValueError:
        return otherwise
    return otherwise if parts.scheme or parts.netloc else target
