"""The web application: accounts, uploads, searches, history, gallery pages and the API."""

from __future__ import annotations

from flask import Flask

from app import queue, transactions
from app.extensions import db, migrate
from config import ROOT, Settings, load_settings


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment unless given.

    Raises
    ------
    config.SettingsError
        A setting is missing or senseless.
    """
    settings = settings or load_settings()
    app = Flask(__name__)
    app.config.from_mapping(
        VITRINE=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=transactions.engine_options(settings),
    )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    transactions.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    queue.init_app(app)
    return app
