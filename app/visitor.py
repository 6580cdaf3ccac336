"""Whose request this is, for everything that belongs to somebody."""

from __future__ import annotations

import secrets

from flask import session
from flask_login import current_user

from app.database import Owner
from app.digests import digest

VISITOR = "visitor"


def owner() -> Owner | None:
    """Return the account that is signed in, else the visitor whose key the session holds, else None."""
    if current_user.is_authenticated:
        return Owner(user_id=current_user.id)
    visitor = session.get(VISITOR)
    return Owner(visitor=digest(visitor)) if isinstance(visitor, str) else None


def new_owner() -> Owner:
    """Return `owner`; a browser that has no key yet is given one."""
    if (known := owner()) is not None:
        return known
    session[VISITOR] = secrets.token_urlsafe(32)
    return Owner(visitor=digest(session[VISITOR]))
