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
from app.encoder import encoder_in_use
from config import Settings, load_settings
from gallery.generations import CURRENT
from gallery.indexing import build
from model.checkpoints.fetch import fetch
from model.errors import VitrineError
from scripts.steps import Step


def index(settings: Settings, folder: Path) -> None:
    """Bring the index up to date with the folder."""
    first = not (settings.index_dir / CURRENT).exists()
    quiet_pillow()
    with Step("Index") as step, create_app(settings).app_context():
        step.update(f"reading {folder}")
        done = build(
            folder,
            settings.index_dir,
            encoder_in_use(),
            thumbnails_dir=settings.thumbnails_dir,
            progress=lambda done, total: step.update(f"indexing pictures: {done:,}/{total:,}"),
        )
        step.finish(summary(done, first=first))
    list_some("  Skipped files:", done.skipped)


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
