"""What has to be there before the processes start; each step does nothing where nothing is to be done."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from app.cli.console import ProgressBar
from app.extensions import db
from config import BUNDLED_MODEL, ROOT, Settings
from gallery.catalog import Catalog
from gallery.errors import IndexMissingError
from model.errors import VitrineError

NEEDED_MB = 300


class StartError(RuntimeError):
    """Vitrine cannot start; the message is one line with the mend."""


class StepFailedError(RuntimeError):
    """A command failed and has said why."""


def check_disk(settings: Settings) -> None:
    """Refuse to begin on a disk that is nearly full."""
    free = shutil.disk_usage(settings.data_dir).free >> 20
    if free < NEEDED_MB:
        raise StartError(
            f"the disk of {settings.data_dir} has {free} MB left and {NEEDED_MB} are needed: make room,"
            " or choose another: DATA_DIR=/path make run"
        )


def lock(settings: Settings) -> int:
    """Hold the data directory for this run alone, as long as the process lives; return the descriptor."""
    descriptor = os.open(settings.data_dir / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise StartError(
            f"another make run uses {settings.data_dir}: stop it, or choose another: DATA_DIR=/path make run"
        ) from error
    return descriptor


def migrate(app: Flask) -> None:
    """Bring the database's tables to this version."""
    try:
        with app.app_context():
            upgrade()
            db.engine.dispose()
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise StartError(f"the database cannot be used ({reason}): look at DATABASE_URL") from error


def weights(settings: Settings, environ: Mapping[str, str]) -> None:
    """Fetch the official checkpoint that MODEL names, unless it is there."""
    if settings.model_path.is_file():
        return
    if environ.get("MODEL_PATH") or settings.model == BUNDLED_MODEL:
        raise StartError(f"there are no weights at {settings.model_path}: look at MODEL_PATH")
    _flask("model", "fetch", settings.model)


def index(settings: Settings, environ: Mapping[str, str]) -> None:
    """Index GALLERY if it is given; else, where this model has no index, the gallery in use, or the demo."""
    wanted = environ.get("GALLERY", "").strip()
    if wanted:
        folder = Path(wanted).expanduser()
        if not folder.is_dir():
            raise StartError(f"GALLERY={wanted} is no folder")
        _flask("gallery", "index", str(folder))
        return
    demo = settings.data_dir / "demo"
    root = _root(settings.index_dir)
    if root is None:
        root = next(filter(None, map(_root, sorted(settings.index_dir.parent.glob("*")))), demo)
    elif root != demo:
        return
    if (root == demo and _render_demo(demo)) or _root(settings.index_dir) is None:
        _flask("gallery", "index", str(root))


def _root(index_dir: Path) -> Path | None:
    """Return the folder of pictures that an index was made of; None where there is no index."""
    try:
        with Catalog.open(index_dir) as catalog:
            return Path(catalog.manifest.root)
    except IndexMissingError:
        return None
    except VitrineError as error:
        raise StartError(f"the index cannot be read ({error})") from error


def _render_demo(directory: Path) -> bool:
    """Draw the demo gallery unless it is there; say whether anything was drawn."""
    from gallery import demo

    with ProgressBar("pictograms") as progress:
        return demo.render(directory, progress)


def _flask(*arguments: str) -> None:
    command = [sys.executable, "-m", "flask", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise StepFailedError(" ".join(arguments))
