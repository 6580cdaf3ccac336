"""Access to the settings of the current application, for all packages of `app`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from flask import current_app

from config import Settings


def settings() -> Settings:
    """Return the settings that the current application was created with."""
    return cast(Settings, current_app.config["VITRINE"])


def private_folders() -> list[Path]:
    """Return ``DATA_DIR`` and its folders that never hold a gallery; none of their files may be shown as one.

    ``DATA_DIR/demo`` is not among them: it holds the demo gallery.
    """
    using = settings()
    inner = (using.data_dir / name for name in ("redis", "evaluation", "logs"))
    return [
        *(using.data_dir, using.uploads_dir, using.index_dir.parent, using.thumbnails_dir, using.models_dir),
        *inner,
    ]
