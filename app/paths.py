"""Where a visitor may be sent on to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

OUR_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")
MAX_LENGTH = 2000


def safe_next(target: str | None, otherwise: str) -> str:
    r"""Return `target` where it is a path of this site, else `otherwise`.

    Browsers read ``//host``, ``/\host`` and paths with control characters as addresses of other sites.
    """
    if not target or len(target) > MAX_LENGTH or not OUR_PATH.fullmatch(target):
        return otherwise
    try:
        parts = urlsplit(target)
    except ValueError:
        return otherwise
    return otherwise if parts.scheme or parts.netloc else target
