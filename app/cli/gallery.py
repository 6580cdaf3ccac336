"""``flask gallery``: index, search, evaluate, status, prune, export, import.

``download`` and ``demo`` are in `app.cli.fetch`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup

from app.cli.console import ProgressBar, TargetFile, list_some, readable_errors, shown
from app.context import private_folders, settings
from app.encoder import encoder_in_use

if TYPE_CHECKING:
    from gallery.indexing import Report
    from model import Encoder

gallery_cli = AppGroup("gallery", help="Index and search the gallery, download pictures.")

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
TARGET = TargetFile()
WORKERS = click.option(
    "--workers", type=click.IntRange(1, 256), help="Threads that read and decode; default: one per core."
)


@gallery_cli.command("index")
@click.argument("folder", metavar="DIR", type=FOLDER)
@WORKERS
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    help="Pictures encoded together.",
)
@click.option(
    "--ignore",
    metavar="PATTERN",
    multiple=True,
    help="Ignore files and folders with this name, such as 'raw' or '*.tmp'. Repeat for more. "
    "GALLERY_IGNORE is for every run. Hidden names, recycle bins, snapshots and thumbnails of other systems "
    "(@eaDir, $RECYCLE.BIN, ...) are always ignored.",
)
@click.option("--report", type=TARGET, help="Write every skipped file and its reason to this JSON file.")
@click.option("--replace", is_flag=True, help="Replace the gallery if DIR is another folder than before.")
@click.option("--prune", is_flag=True, help="Remove missing pictures, even if more than a tenth are missing.")
@readable_errors
def index(
    folder: Path,
    workers: int | None,
    batch_size: int,
    ignore: tuple[str, ...],
    report: Path | None,
    replace: bool,
    prune: bool,
) -> None:
    """Bring the index up to date with a folder.

    All pictures in DIR and its subfolders are indexed; only new ones are encoded. An interrupted run resumes
    when the command is run again.

    An index has one folder. To search two, index a folder that contains both; links to folders are not
    followed. Features of removed pictures are kept for 30 days in case they come back.
    """
    from gallery.encoding import default_workers
    from gallery.generations import CURRENT
    from model.network.threads import blas_threads

    encoder, workers = encoder_in_use(), workers or default_workers()
    first = not (settings().index_dir / CURRENT).exists()
    click.echo(
        f"Indexing {folder} with {encoder.name}: {blas_threads()} threads encode, {workers} read, "
        f"batches of {batch_size}."
    )
    done = _build(
        folder,
        encoder,
        replace=replace,
        prune=prune,
        ignore=(*settings().gallery_ignore, *ignore),
        batch_size=batch_size,
        workers=workers,
    )
    if report is not None:
        _write_report(report, done)
    click.echo(f"{summary(done, first=first)}.")
    list_some("Skipped:", done.skipped)
    list_some("Damaged, but used:", done.damaged)


@gallery_cli.command("search")
@click.argument("image", type=FILE)
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Number of hits.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: [{rank, score, name, path}].")
@readable_errors
def search(image: Path, top: int, as_json: bool) -> None:
    """Find the pictures most similar to IMAGE.

    Scores are cosine similarities.
    """
    from gallery.store import Store

    encoder = encoder_in_use()
    with Store.open(settings().index_dir, expected=encoder.fingerprint) as store:
        found = store.search(encoder.encode([encoder.decode(image)])[0], top)
    hits = [
        {"rank": rank, "score": score, "name": item.name, "path": item.path}
        for rank, (item, score) in enumerate(found, start=1)
    ]
    if as_json:
        click.echo(json.dumps(hits, ensure_ascii=False, indent=1))
        return
    for hit in hits:
        click.echo(f"{hit['rank']:>4}  {hit['score']:7.4f}  {shown(str(hit['path']))}")


@gallery_cli.command("evaluate")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@WORKERS
@readable_errors
def evaluate(folder: Path, as_json: bool, workers: int | None) -> None:
    """Measure the retrieval quality on a labelled folder.

    Each picture in DIR is a query among all the others; the subfolders of DIR are the labels.
    """
    from gallery.evaluation import evaluate as run

    cache = settings().data_dir / "evaluation"
    with ProgressBar("pictures") as progress:
        result = run(
            folder,
            encoder_in_use(),
            cache_dir=cache,
            exclude=private_folders(),
            workers=workers,
            progress=progress,
        )
    values = result.as_dict()
    if as_json:
        click.echo(json.dumps(values))
        return
    for name, value in values.items():
        click.echo(f"{name:<13} {value:.4f}" if isinstance(value, float) else f"{name:<13} {value}")
    list_some("Skipped:", result.skipped)


@gallery_cli.command("status")
@readable_errors
def status() -> None:
    """Show the state of the index and changed files."""
    from gallery.status import status as check

    found = check(settings().index_dir, encoder_in_use().fingerprint)
    manifest, model = found.manifest, found.manifest.fingerprint
    click.echo(f"generation  {found.generation}, made {manifest.created}")
    click.echo(f"pictures    {manifest.count} from {manifest.root}")
    click.echo(f"model       {manifest.model}, {model['preprocess']}, D = {model['dim']}")
    if found.damaged:
        click.echo(f"damaged     the newest generation is damaged; to fix it: {manifest.reindex_command}")
    if not found.matches:
        click.echo(f"mismatch    another model is in use; to index with it: {manifest.reindex_command}")
    list_some(f"{len(found.changed)} files have changed:", found.changed)


@gallery_cli.command("prune")
@readable_errors
def prune() -> None:
    """Remove old generations and thumbnails that no index needs."""
    from gallery.pruning import prune as run

    indexes = settings().index_dir.parent
    folders = [path for path in indexes.iterdir() if path.is_dir()] if indexes.is_dir() else []
    removed = run(folders, settings().thumbnails_dir)
    click.echo(f"Removed {removed.generations} generations and {removed.thumbnails} thumbnails.")


@gallery_cli.command("export")
@click.argument("target", metavar="F.npz", type=TARGET)
@readable_errors
def export(target: Path) -> None:
    """Write features and paths of the index to F.npz.

    The file has two arrays, "features" and "paths".
    """
    from gallery.exchange import export_npz

    click.echo(f"Wrote {export_npz(settings().index_dir, target)} features to {target}.")


@gallery_cli.command("import")
@click.argument("source", metavar="F.npz", type=FILE)
@click.option(
    "--root",
    type=FOLDER,
    help="The folder with the pictures, which everybody can see who can open the site; default: that of the "
    "index in use.",
)
@readable_errors
def import_(source: Path, root: Path | None) -> None:
    """Make an index from features and paths in F.npz.

    The features must come from the model in use.
    """
    from gallery.exchange import import_npz

    encoder = encoder_in_use()
    with ProgressBar("pictures") as progress:
        done = import_npz(
            source,
            settings().index_dir,
            root=root,
            model=encoder.name,
            fingerprint=encoder.fingerprint,
            thumbnails_dir=settings().thumbnails_dir,
            private=private_folders(),
            progress=progress,
        )
    click.echo(f"Imported {done.count} features.")
    list_some("Pictures that cannot be shown:", done.absent)


def summary(report: Report, *, first: bool) -> str:
    """Describe an indexing run in one line; `first` if there was no index before it."""
    text = f"{report.count:,} {'picture' if report.count == 1 else 'pictures'}"
    if first:
        text += f" in {report.seconds:.1f} s ({report.count / max(report.seconds, 1e-3):.1f} per second)"
    elif not report.indexed and not report.removed:
        text += ", all unchanged"
    else:
        text += f": {report.indexed:,} new, {report.reused:,} unchanged, {report.removed:,} removed"
    skipped = len(report.skipped)
    return f"{text}; {skipped:,} {'file' if skipped == 1 else 'files'} skipped" if skipped else text


def _build(folder: Path, encoder: Encoder, **options: Any) -> Report:
    """Index, and on a terminal ask before a gallery is replaced or many items are removed."""
    from gallery.errors import ManyMissingError, OtherGalleryError
    from gallery.indexing import build

    try:
        with ProgressBar("pictures") as progress:
            return build(
                folder,
                settings().index_dir,
                encoder,
                thumbnails_dir=settings().thumbnails_dir,
                exclude=private_folders(),
                progress=progress,
                **options,
            )
    except (OtherGalleryError, ManyMissingError) as error:
        other = isinstance(error, OtherGalleryError)
        question = "Replace that gallery now?" if other else "Remove the missing pictures now?"
        if not _on_terminal() or not click.confirm(f"{error}\n{question}"):
            raise
        return _build(folder, encoder, **options | {"replace" if other else "prune": True})


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def _write_report(path: Path, report: Report) -> None:
    values = asdict(report) | {
        "skipped": [file._asdict() for file in report.skipped],
        "damaged": [file._asdict() for file in report.damaged],
    }
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
