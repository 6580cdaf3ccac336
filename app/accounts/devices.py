"""Known devices: browsers in which an account has logged in before, recognized by a signed cookie.

Strangers who guess at a password fill a bucket of the account. Its owner must not be locked out by that, so a
known device has its own bucket. The cookie grants nothing else: the password is still needed. Called by
`sessions`, which sets it, and by `service`, which asks for the device of a log-in.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import Response, after_this_request, current_app, has_request_context, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from app.context import settings
from app.digests import digest

COOKIE = "vitrine_device"
LIFETIME = timedelta(days=365)
MAX_ACCOUNTS = 5  # that one browser remembers, the latest first
STAMP_LENGTH = 16


def remember(user_id: int, password_hash: str) -> None:
    """Make this browser a known device of the account; the answer to the current request sets the cookie."""
    known = _known()
    device, _ = known.pop(str(user_id), (secrets.token_urlsafe(16), ""))
    latest = {str(user_id): (device, _stamp(password_hash))} | known
    value = _serializer().dumps(dict(list(latest.items())[:MAX_ACCOUNTS]))

    @after_this_request
    def keep(response: Response) -> Response:
        response.set_cookie(
            COOKIE,
            value,
            max_age=LIFETIME,
            httponly=True,
            samesite="Lax",
            secure=settings().production,
        )
        return response


def known_device(user_id: int, password_hash: str) -> str | None:
    """Return the id of this device if it has logged in to the account with its present password."""
    device, stamp = _known().get(str(user_id), (None, None))
    return device if stamp == _stamp(password_hash) else None


def _known() -> dict[str, tuple[str, str]]:
    """Return device and stamp by account; the key is text, as JSON has no other."""
    if not has_request_context():
        return {}
    try:
        found = _serializer().loads(request.cookies.get(COOKIE, ""), max_age=int(LIFETIME.total_seconds()))
    except BadSignature:
        return {}
    return {account: (device, stamp) for account, (device, stamp) in found.items()}


def _stamp(password_hash: str) -> str:
    """A new password makes every device a stranger, also the one of a thief who knew the old password."""
    return digest(password_hash)[:STAMP_LENGTH]


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt=COOKIE)
