"""Commands that bring models and pictures: ``model fetch``, ``gallery download``, ``gallery demo``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from app.cli.console import ProgressBar, TargetFile, list_some, readable_errors
from app.context import settings

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TARGET = TargetFile()
_FOLDER = click.Path(file_okay=False, path_type=Path)


def _bound(name: str, most: int, default: int, text: str) -> Callable[[F], F]:
    return click.option(name, type=click.IntRange(1, most), default=default, show_default=True, help=text)


@click.command("fetch")
@click.argument("name", required=False)
@click.option("--file", "local_file", type=_FILE, help="Use this official .pth file instead of downloading.")
@with_appcontext
@readable_errors
def model_fetch(name: str | None, local_file: Path | None) -> None:
    """Download and install an official checkpoint.

    The file is checked against its known checksum. Without NAME, list the checkpoints.
    """
    from model.checkpoints.fetch import fetch

    current = settings()
    if name is None:
        _list_checkpoints(current.models_dir)
        return
    with ProgressBar("B") as progress:
        path = fetch(
            name,
            current.models_dir,
            file=local_file,
            mirror=current.dinov2_mirror,
            hub=current.hf_endpoint,
            progress=progress,
            notice=lambda line: click.echo(line, err=True),
        )
    click.echo(f"{name} is installed: {path}. To use it: MODEL={name} make run")


@click.command("download")
@click.argument("source")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--report", type=_TARGET, help="Write all failures and their reasons to this JSON file.")
@_bound("--workers", 64, 16, "Connections in total.")
@_bound("--per-host", 64, 4, "Connections to one server.")
@_bound("--max-mb", 1024, 64, "Largest picture, in megabytes.")
@_bound("--max-gb", 10_000, 200, "Largest total, in gigabytes.")
@with_appcontext
@readable_errors
def gallery_download(
    source: str, folder: Path, report: Path | None, workers: int, per_host: int, max_mb: int, max_gb: int
) -> None:
    """Download pictures from SOURCE into DIR.

    SOURCE is an archive (.zip, .tar.gz ...) or a list of picture URLs (.csv, .tsv, .txt), as a file or a URL,
    or the name of an open photo set: imagenette-160, oxford-pets, flowers-102, caltech-101. An interrupted
    download resumes when the command is run again.
    """
    from gallery.download import Bounds, download

    bounds = Bounds(workers=workers, per_host=per_host, max_bytes=max_mb << 20, max_total=max_gb << 30)
    with ProgressBar("B") as byte_progress, ProgressBar("pictures") as progress:
        done = download(source, folder, bounds=bounds, progress=progress, byte_progress=byte_progress)
    if report is not None:
        values = json.dumps(done.as_dict(), ensure_ascii=False, indent=1)
        report.write_text(values, encoding="utf-8", errors="backslashreplace")
    click.echo(
        f"{done.written} pictures downloaded, {done.present} already there, {len(done.failed)} failed."
    )
    list_some("Failed (--report F.json lists all):", done.failed)
    click.echo(f"To search them: flask gallery index {folder}")


@click.command("demo")
@click.argument("folder", metavar="[DIR]", type=_FOLDER, required=False)
@with_appcontext
@readable_errors
def gallery_demo(folder: Path | None) -> None:
    """Draw the demo gallery into DIR.

    It has about 2,400 pictograms of OpenMoji. The default for DIR is DATA_DIR/demo.
    """
    from gallery.demo import render

    place = folder or settings().data_dir / "demo"
    with ProgressBar("pictograms") as progress:
        result = render(place, progress)
    click.echo(f"{result.pictures:,} pictograms in {place}{'' if result.drawn else ', drawn earlier'}.")
    if result.left_out:
        click.echo(f"{result.left_out} flags, families and the like are left out: this Pillow lacks Raqm.")
    click.echo(f"To search them: flask gallery index {place}")


def _list_checkpoints(models_dir: Path) -> None:
    from model.checkpoints.registry import CHECKPOINTS, DEFAULT

    for checkpoint in CHECKPOINTS.values():
        path = models_dir / f"{checkpoint.name}.safetensors"
        state = f"installed: {path}" if path.is_file() else ""
        size = f"{checkpoint.about_bytes / 1e6:,.0f} MB"
        default = "recommended" if checkpoint.name == DEFAULT else ""
        line = f"{checkpoint.name:<18} {size:>9}  D = {checkpoint.dim:<5} {default:<12} {state}"
        click.echo(line.rstrip())
    click.echo(f"To fetch one: flask model fetch {DEFAULT}")
