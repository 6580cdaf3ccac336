"""Flask extensions; `create_app` binds them to an application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from flask_babel import Babel
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from app.database import Base


class _Migrate(Migrate):  # type: ignore[misc]
    """Flask-Migrate for any path: Alembic's configuration expands percent signs."""

    def get_config(
        self, directory: str | None = None, x_arg: Any = None, opts: list[str] | None = None
    ) -> Config:
        """Return Alembic's configuration."""
        path = str(directory or self.directory)
        config: Config = super().get_config(path.replace("%", "%%"), x_arg, opts)
        config.file_config.read(Path(path, "alembic.ini"), encoding="utf-8")
        return config


db = SQLAlchemy(metadata=Base.metadata)
migrate = _Migrate()
login_manager = LoginManager()
csrf = CSRFProtect()
babel = Babel()
