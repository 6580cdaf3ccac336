"""The Flask application: accounts, uploads, searches, history, gallery pages and the API.

`create_app` is called by `wsgi.py`, the worker, the command line and the tests. The packages here may import
`gallery.catalog`, `model.pictures` and `config`, which do not load NumPy, but never `worker`; commands in
`app.cli` import the rest of `model` and `gallery` inside their functions.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from app import assets, cli, errors, multipart, queue, security, transactions
from app import logging as app_logging
from app.accounts import routes as accounts
from app.accounts import sessions
from app.api import routes as api
from app.context import settings as current_settings
from app.extensions import db, migrate
from app.gallery import current, urls
from app.gallery import routes as gallery
from app.health import metrics
from app.health import routes as health
from app.history import routes as history
from app.main import preferences
from app.main import routes as main
from app.searches import routes as searches
from config import BUNDLED_MODEL, ROOT, Settings, load_settings
from model.pictures import limit_pixels


def create_app(settings: Settings | None = None) -> Flask:
    """Create the application.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment by default.

    Raises
    ------
    config.SettingsError
        A setting is missing or invalid.
    """
    settings = settings or load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    limit_pixels(settings.max_pixels)
    app = Flask(__name__, static_folder=None)  # `assets` serves static files
    app.config.from_mapping(
        VITRINE=settings,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=transactions.engine_options(settings),
        **security.config(settings),
    )
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    for module in (
        transactions, queue, assets, current, urls, app_logging, metrics, security, sessions, preferences,
        errors, multipart, cli,
    ):  # fmt: skip
        module.init_app(app)
    for package in (main, accounts, searches, history, gallery, health):
        app.register_blueprint(package.bp)
    api.init_app(app)
    app.context_processor(_page_context)
    return app


def _page_context() -> dict[str, Any]:
    """Variables that every template may use; none of them needs the database."""
    settings = current_settings()
    catalog = current.catalog()
    return {
        "model_info": {
            "name": settings.model,
            "bundled": settings.model == BUNDLED_MODEL,
            "dim": catalog.manifest.fingerprint.get("dim") if catalog else None,
        },
        "gallery_info": current.gallery_info(),
        "locale": preferences.language(),
        "theme": preferences.theme(),
    }
