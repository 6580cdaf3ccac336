"""What belongs to the application at hand."""

from __future__ import annotations

from typing import cast

from flask import current_app

from config import Settings


def settings() -> Settings:
    """The settings that the current application was made with."""
    return cast(Settings, current_app.config["VITRINE"])
