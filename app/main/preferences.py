"""Language and theme: as chosen and stored in cookies, else as the browser prefers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flask import Flask, has_request_context, request
from werkzeug.wrappers import Response

from app.assets import ONE_YEAR
from app.context import settings
from app.extensions import babel

LANGUAGE_COOKIE, THEME_COOKIE = "vitrine_language", "vitrine_theme"
ENGLISH, CHINESE = "en", "zh_Hans"
LANGUAGES = (ENGLISH, CHINESE)
THEMES = ("light", "dark", "auto")

R = TypeVar("R", bound=Response)


def init_app(app: Flask) -> None:
    """Let Flask-Babel use the reader's language."""
    app.config.setdefault("BABEL_DEFAULT_LOCALE", ENGLISH)
    babel.init_app(app, locale_selector=language)


def language() -> str:
    """Return the chosen language, else the first available one that the browser accepts, else English."""
    if not has_request_context():
        return ENGLISH
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    for tag in request.accept_languages.values():
        primary = tag.replace("_", "-").split("-")[0].lower()
        if primary == "zh":
            return CHINESE
        if primary == "en":
            return ENGLISH
    return ENGLISH


def theme() -> str:
    """Return the chosen theme, else ``auto``, which follows the system."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def save(response: R, form: Mapping[str, str]) -> R:
    """Store valid choices in cookies."""
    for name, cookie, allowed in (("language", LANGUAGE_COOKIE, LANGUAGES), ("theme", THEME_COOKIE, THEMES)):
        if form.get(name) in allowed:
            response.set_cookie(
                cookie,
                form[name],
                max_age=ONE_YEAR,
                httponly=True,
                samesite="Lax",
                secure=settings().production,
            )
    return response
