"""Databases with the tables in them."""

from __future__ import annotations

from flask_migrate import upgrade

from app import create_app
from app.extensions import db
from config import Settings

KEY = "a key for tests only"


def migrate(settings: Settings) -> None:
    """Bring the database that `settings` name to this version, and let it go."""
    application = create_app(settings)
    with application.app_context():
        upgrade()
        db.engine.dispose()
