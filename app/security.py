"""Security headers of every response, and the checks that every request passes before a view handles it."""

from __future__ import annotations

import ipaddress
from typing import Any

from flask import Flask, Response, abort, request
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from app.assets import ENDPOINT as STATIC
from app.context import settings
from app.extensions import csrf
from config import Settings

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "manifest-src 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MULTIPART_OVERHEAD = 64 * 1024  # added by the form to the size of its picture
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
TWO_YEARS = 63_072_000
SMALL_BODY = 64 * 1024
# Werkzeug's parser reads 64 KB at a time and adds the rest of the previous read: with a limit of 64 KB it
# would refuse every picture with a line break at the end of a read, which is nearly every large one.
FORM_MEMORY = 128 * 1024
TAKES_PICTURES = frozenset({"searches.create", "api.create"})
TAKES_JSON = "accounts.check_password"
WITHOUT_COOKIES = "api"  # uses bearer tokens and ignores cookies, so its requests cannot be forged


def config(chosen: Settings) -> dict[str, Any]:
    """Return Flask's settings for cookies, sizes and hosts."""
    return {
        "SECRET_KEY": chosen.secret_key,
        "SESSION_COOKIE_NAME": "vitrine_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": chosen.production,
        "REMEMBER_COOKIE_NAME": "vitrine_remember",
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": chosen.production,
        "MAX_CONTENT_LENGTH": chosen.max_upload_mb * 2**20 + MULTIPART_OVERHEAD,
        "MAX_FORM_MEMORY_SIZE": FORM_MEMORY,
        "MAX_FORM_PARTS": 32,
        "WTF_CSRF_CHECK_DEFAULT": False,  # `_protect` decides
        "WTF_CSRF_TIME_LIMIT": None,  # a form is valid as long as its session
    }


def _hosts(chosen: Settings) -> tuple[str, ...] | None:
    """Return the host names to answer to, None for any.

    On loopback only this machine's browsers can reach the site, and with them every page that they show: a
    name of a stranger that leads to 127.0.0.1 (DNS rebinding) must not be answered. Behind a proxy the name
    is the proxy's.
    """
    if chosen.trusted_hosts:
        return chosen.trusted_hosts
    if chosen.host in LOOPBACK and not chosen.proxy_hops:
        return LOOPBACK_NAMES
    return None


def init_app(app: Flask) -> None:
    """Trust the configured number of proxies, check requests and set headers."""
    chosen: Settings = app.config["VITRINE"]
    if chosen.proxy_hops:
        hops = chosen.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    csrf.init_app(app)
    app.before_request(_check_host)
    app.before_request(_limit_body)
    app.before_request(_refuse_json)
    app.before_request(_protect)
    app.after_request(_set_headers)


def _check_host() -> None:
    """Refuse host names that the site is not served under.

    Probes ask by address, which no name of a stranger can stand for. ``/healthz`` answers under any name.
    """
    served = _hosts(settings())
    name = _without_port(request.host)
    if served is None or request.endpoint == "health.alive":
        return
    if request.blueprint == "health" and (name in LOOPBACK_NAMES or _is_address(name)):
        return
    if not any(name == each or (each.startswith(".") and f".{name}".endswith(each)) for each in served):
        raise SecurityError(f"the host {name!r} is not served")


def _without_port(host: str) -> str:
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    return (host[:end] if end > 0 else host).lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _limit_body() -> None:
    if request.endpoint not in TAKES_PICTURES:
        request.max_content_length = SMALL_BODY


def _refuse_json() -> None:
    """Refuse JSON for forms: Flask-WTF would fill fields from it, with values that are not text."""
    takes_forms = request.blueprint not in (None, WITHOUT_COOKIES) and request.endpoint != TAKES_JSON
    if takes_forms and request.method == "POST" and request.is_json:
        abort(415)


def _protect() -> None:
    if request.endpoint is not None and request.blueprint != WITHOUT_COOKIES:
        csrf.protect()


def _set_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != STATIC:
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = f"max-age={TWO_YEARS}"
    return response
