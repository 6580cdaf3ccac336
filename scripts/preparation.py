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
from gallery import demo
from gallery.about import SAMPLES_FILE
from gallery.catalog import Catalog
from gallery.errors import IndexMissingError
from gallery.manifest import Manifest
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
    found = _manifest(settings.index_dir)
    place = settings.data_dir / "demo"
    root = Path(found.root) if found else _gallery_of_another_model(settings) or place
    if root == place:
        _draw_demo(place)
        drawn = (place / SAMPLES_FILE).stat().st_mtime_ns
        if found is not None and found.scanned > drawn:
            return
    elif found is not None:
        return
    _flask("gallery", "index", str(root))


def _gallery_of_another_model(settings: Settings) -> Path | None:
    indexes = sorted(settings.index_dir.parent.glob("*"))
    roots = [Path(found.root) for each in indexes if (found := _manifest(each)) is not None]
    return next((root for root in roots if root.is_dir()), None)


def _manifest(index_dir: Path) -> Manifest | None:
    """Return what an index says of itself; None where there is none."""
    try:
        with Catalog.open(index_dir) as catalog:
            return catalog.manifest
    except IndexMissingError:
        return None
    except VitrineError as error:
        raise StartError(str(error)) from error


def _draw_demo(place: Path) -> None:
    try:
        with ProgressBar("pictograms") as progress:
            demo.render(place, progress)
    except VitrineError as error:
        raise StartError(str(error)) from error


def _flask(*arguments: str) -> None:
    command = [sys.executable, "-m", "flask", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise StepFailedError(" ".join(arguments))
