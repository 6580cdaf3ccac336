"""Access to the settings of the current application, for all packages of `app`."""

from __future__ import annotations

from typing import cast

from flask import current_app

from config import Settings


def settings() -> Settings:
    """Return the settings that the current application was created with."""
    return cast(Settings, current_app.config["VITRINE"])
