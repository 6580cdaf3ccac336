"""The steps of ``make run`` that load NumPy, in a separate process, so that the launcher stays small.

python -m scripts.heavy_steps index DIR
python -m scripts.heavy_steps fetch MODEL
"""

from __future__ import annotations

import sys
from pathlib import Path

from app import create_app
from app.cli.console import list_some, quiet_pillow
from app.cli.gallery import summary
from app.context import private_folders
from app.encoder import encoder_in_use
from config import Settings, load_settings
from gallery.errors import ManyMissingError, NoPictureError, OtherGalleryError
from gallery.generations import CURRENT
from gallery.indexing import Report, build
from model.checkpoints.fetch import fetch
from model.errors import VitrineError
from scripts.steps import Step


def index(settings: Settings, folder: Path) -> None:
    """Bring the index up to date with the folder, which replaces another gallery.

    A folder without pictures or with many missing may be a disk that is not mounted: the index, if there is
    one, then stays in use.
    """
    first = not (settings.index_dir / CURRENT).exists()
    quiet_pillow()
    with Step("Index") as step, create_app(settings).app_context():
        step.update(f"reading {folder}")
        try:
            done, replaced = _build(settings, folder, step)
        except ManyMissingError as error:
            step.finish(str(error))
            return
        except NoPictureError as error:
            kept = (
                "copy pictures there and run make run again" if first else "the index stays in use as it is"
            )
            step.finish(f"{error} If a disk is not mounted, mount it; {kept}")
            return
        step.finish(summary(done, first=first) + replaced)
    list_some("  Skipped files:", done.skipped)


def _build(settings: Settings, folder: Path, step: Step) -> tuple[Report, str]:
    """Index, and return the report with a remark if another gallery was replaced."""

    def run(*, replace: bool) -> Report:
        return build(
            folder,
            settings.index_dir,
            encoder_in_use(),
            thumbnails_dir=settings.thumbnails_dir,
            exclude=private_folders(),
            ignore=settings.gallery_ignore,
            replace=replace,
            progress=lambda done, total: step.update(f"indexing pictures: {done:,}/{total:,}"),
        )

    try:
        return run(replace=False), ""
    except OtherGalleryError as error:  # GALLERY names this folder, which is answer enough
        return run(replace=True), f"; {folder} replaces {error.before}"


def fetch_model(settings: Settings, name: str) -> None:
    """Download and install an official checkpoint."""
    with Step("Model") as step:
        fetch(
            name,
            settings.models_dir,
            mirror=settings.dinov2_mirror,
            hub=settings.hf_endpoint,
            progress=lambda done, total: step.update(_megabytes(name, done, total)),
            notice=step.finish,
        )


def main() -> int:
    """Run one step; return the exit status."""
    try:
        settings = load_settings()
        command, argument = sys.argv[1:]
        if command == "index":
            index(settings, Path(argument))
        else:
            fetch_model(settings, argument)
    except VitrineError as error:
        print(f"vitrine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _megabytes(name: str, done: int, total: int | None) -> str:
    of = f"/{total / 1e6:,.0f}" if total else ""
    return f"downloading {name}: {done / 1e6:,.0f}{of} MB"


if __name__ == "__main__":
    sys.exit(main())
