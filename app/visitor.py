"""The owner of the current request: the logged-in account, or a visitor known by a key in the session.

Used by the pages that show or change something that belongs to an owner.
"""

from __future__ import annotations

import secrets

from flask import session
from flask_login import current_user

from app.database import Owner
from app.digests import digest

VISITOR = "visitor"


def current_owner() -> Owner | None:
    """Return the logged-in account, else the visitor whose key the session holds, else None."""
    if current_user.is_authenticated:
        return Owner(user_id=current_user.id)
    visitor = session.get(VISITOR)
    return Owner(visitor=digest(visitor)) if isinstance(visitor, str) else None


def ensure_owner() -> Owner:
    """Return the current owner; a browser without a key gets one."""
    if (known := current_owner()) is not None:
        return known
    session[VISITOR] = secrets.token_urlsafe(32)
    return Owner(visitor=digest(session[VISITOR]))
