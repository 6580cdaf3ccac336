"""What has to be there before the processes start; each step does nothing where nothing is to be done."""

from __future__ import annotations

import errno
import fcntl
import hashlib
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
from config import BUNDLED_MODEL, FORMER_MODEL, ROOT, Settings
from gallery import demo
from gallery.about import SAMPLES_FILE
from gallery.catalog import Catalog
from gallery.errors import IndexMissingError
from gallery.manifest import Manifest
from model.errors import VitrineError
from scripts.processes import say

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
    """Index GALLERY if it is given; else the gallery in use where these weights have not, or the demo."""
    wanted = environ.get("GALLERY", "").strip()
    if wanted:
        folder = Path(wanted).expanduser()
        if not folder.is_dir():
            raise StartError(f"GALLERY={wanted} is no folder")
        _flask("gallery", "index", str(folder))
        return
    found = _manifest(settings.index_dir)
    place = settings.data_dir / "demo"
    earlier = found or _index_of_another_model(settings)
    root = Path(earlier.root) if earlier else place
    same = earlier is not None and _made_with(settings.model_path, earlier)
    fresh = found is not None and same
    if root == place:
        _draw_demo(place)
        drawn = (place / SAMPLES_FILE).stat().st_mtime_ns
        fresh = fresh and found is not None and found.scanned > drawn
    if fresh:
        return
    if earlier is not None and not same:
        _say_why(settings, earlier)
    _flask("gallery", "index", str(root))


def _say_why(settings: Settings, earlier: Manifest) -> None:
    """Say in one line why the gallery in use is indexed anew, and which folder may go."""
    root, former = Path(earlier.root), settings.index_dir.with_name(FORMER_MODEL)
    if not root.is_dir():
        raise StartError(
            f"the index was made with other weights than those of {settings.model}, and its gallery {root} is"
            " missing: bring it back, or choose another: GALLERY=/path/to/pictures make run"
        )
    unused = f"; {former}, the index of a model that is no longer here, can be deleted"
    say(
        f"The gallery in use was indexed with other weights; {settings.model} indexes it anew"
        f"{unused if former.is_dir() else ''}."
    )


def _index_of_another_model(settings: Settings) -> Manifest | None:
    indexes = sorted(settings.index_dir.parent.glob("*"))
    found = [manifest for each in indexes if (manifest := _manifest(each)) is not None]
    return next((manifest for manifest in found if Path(manifest.root).is_dir()), None)


def _made_with(weights: Path, index: Manifest) -> bool:
    """Return whether an index was made with these weights."""
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == index.fingerprint.get("weights_sha256")


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
