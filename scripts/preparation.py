"""The steps of ``make run`` before the processes start; each does nothing if its result exists already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from app import pairing
from app.extensions import db
from config import BUNDLED_MODEL, FORMER_MODEL, ROOT, Settings
from gallery import demo
from gallery.about import SAMPLES_FILE
from gallery.catalog import Catalog
from gallery.errors import IndexMissingError
from gallery.manifest import Manifest
from model.errors import VitrineError
from model.files import sha256_file, try_lock
from model.pictures import DECODING
from scripts.steps import Step

NEEDED_MB = 300
LOCK_PAUSE = 0.2  # seconds between two tries


class StartError(RuntimeError):
    """Vitrine cannot start; the message says how to fix it."""


class StepFailedError(RuntimeError):
    """A step failed in a process that has printed the reason."""


def check_disk(settings: Settings) -> None:
    """Refuse to start on a disk that is nearly full."""
    free = shutil.disk_usage(settings.data_dir).free >> 20
    if free < NEEDED_MB:
        raise StartError(
            f"the disk of {settings.data_dir} has {free} MB free, and {NEEDED_MB} are needed: free some space"
            " or choose another disk: DATA_DIR=/path make run"
        )


def lock(settings: Settings, patience: float) -> int:
    """Lock the data directory, and return the descriptor of the lock.

    Processes that inherit the descriptor hold the lock too, so it is free only when all of them have ended:
    two sites never share a data directory, even if the launcher was killed. Those processes then end by
    themselves, and this function waits for them.

    Parameters
    ----------
    patience : float
        Seconds to wait for the processes of a launcher that was killed.
    """
    descriptor = os.open(settings.data_dir / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience
    with Step("Earlier run") as step:
        while not try_lock(descriptor):
            launcher = int(os.pread(descriptor, 20, 0) or b"0")
            if _runs(launcher):
                raise StartError(
                    f"another make run (process {launcher}) uses {settings.data_dir}: stop it, or choose"
                    " another directory: DATA_DIR=/path make run"
                )
            if time.monotonic() > deadline:
                raise StartError(
                    f"processes of an earlier make run still use {settings.data_dir}; find them with: fuser"
                    f" {settings.data_dir / 'run.lock'}; or choose another directory: DATA_DIR=/path make run"
                )
            step.update("waiting for its processes to end")
            time.sleep(LOCK_PAUSE)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def migrate(app: Flask) -> None:
    """Create or upgrade the database's tables."""
    try:
        with Step("Database") as step, app.app_context():
            upgrade()
            pairing.check()
            db.engine.dispose()
            step.finish(f"ready ({db.engine.dialect.name})")
    except pairing.StrangerError as error:
        raise StartError(str(error)) from error
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise StartError(f"the database is not usable ({reason}): check DATABASE_URL") from error


def weights(settings: Settings, environ: Mapping[str, str]) -> None:
    """Fetch the official checkpoint that MODEL names, unless it is installed."""
    if not settings.model_path.is_file():
        if environ.get("MODEL_PATH") or settings.model == BUNDLED_MODEL:
            raise StartError(f"there are no weights at {settings.model_path}: check MODEL_PATH")
        _in_own_process("fetch", settings.model)
    bundled = " (bundled; for DINOv2 see: flask model info)" if settings.model == BUNDLED_MODEL else ""
    Step("Model").finish(f"{settings.model}{bundled}")


def index(settings: Settings, environ: Mapping[str, str]) -> None:
    """Index GALLERY if set; otherwise, if these weights have no index, the gallery in use or the demo."""
    given = environ.get("GALLERY", "").strip()
    if given:
        _index_given(settings, given)
        return
    found = _manifest(settings.index_dir)
    place = settings.data_dir / "demo"
    earlier = found or _index_of_another_model(settings)
    root = Path(earlier.root) if earlier else place
    same = earlier is not None and _made_with(settings.model_path, earlier)
    up_to_date = found is not None and same
    if root == place:
        _draw_demo(place)
        drawn = (place / SAMPLES_FILE).stat().st_mtime_ns
        up_to_date = up_to_date and found is not None and found.scanned > drawn
    if found is not None and up_to_date:
        Step("Index").finish(f"{found.count:,} pictures from {root}")
        return
    if earlier is not None and not same:
        _say_why(settings, earlier)
    _in_own_process("index", str(root))


def _index_given(settings: Settings, given: str) -> None:
    folder = Path(given).expanduser().resolve()
    if folder.is_dir():
        _in_own_process("index", str(folder))
        return
    found = _manifest(settings.index_dir)
    if found is None or found.root != str(folder):
        raise StartError(f"GALLERY={given} is not a folder")
    Step("Index").finish(f"{folder} is missing, perhaps not mounted: {found.count:,} pictures stay indexed")


def _say_why(settings: Settings, earlier: Manifest) -> None:
    """Print why the gallery in use is indexed again, and which folder is no longer needed."""
    root, former = Path(earlier.root), settings.index_dir.with_name(FORMER_MODEL)
    if not root.is_dir():
        raise StartError(
            f"the index was made with other weights than those of {settings.model}, and its gallery {root} is"
            " missing: bring it back, or choose another: GALLERY=/path/to/pictures make run"
        )
    unused = f"; the index of an earlier model in {former} can be deleted" if former.is_dir() else ""
    Step("Index").finish(
        f"made with another model or version; indexing {root} again with {settings.model}{unused}"
    )


def _index_of_another_model(settings: Settings) -> Manifest | None:
    indexes = sorted(settings.index_dir.parent.glob("*"))
    found = [manifest for each in indexes if (manifest := _manifest(each)) is not None]
    return next((manifest for manifest in found if Path(manifest.root).is_dir()), None)


def _made_with(weights: Path, index: Manifest) -> bool:
    """Return whether an index was made with these weights, from pictures decoded as this version does."""
    decoded_alike = str(index.fingerprint.get("preprocess", "")).endswith(f"-decoding-{DECODING}")
    return decoded_alike and sha256_file(weights) == index.fingerprint.get("weights_sha256")


def _manifest(index_dir: Path) -> Manifest | None:
    """Return an index's manifest, or None if there is no index."""
    try:
        with Catalog.open(index_dir) as catalog:
            return catalog.manifest
    except IndexMissingError:
        return None
    except VitrineError as error:
        raise StartError(str(error)) from error


def _draw_demo(place: Path) -> None:
    try:
        with Step("Demo gallery") as step:
            demo.render(place, lambda done, total: step.update(f"drawing pictograms: {done:,}/{total:,}"))
    except VitrineError as error:
        raise StartError(str(error)) from error


def _in_own_process(*arguments: str) -> None:
    command = [sys.executable, "-m", "scripts.heavy_steps", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise StepFailedError(" ".join(arguments))


def _runs(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
