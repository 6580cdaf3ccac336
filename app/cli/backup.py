"""``flask backup`` and ``flask restore``: everything that cannot be made again, in one file."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import with_appcontext

from app.cli.console import TargetFile, list_some, readable_errors

SOURCE = click.Path(exists=True, dir_okay=False, path_type=Path)
TARGET = TargetFile()


@click.command("backup")
@click.argument("file", type=TARGET)
@click.option("--with-indexes", is_flag=True, help="Include indexes and thumbnails, which can be made again.")
@click.option("--verify", is_flag=True, help="Check the backup FILE instead of making it.")
@with_appcontext
@readable_errors
def backup(file: Path, with_indexes: bool, verify: bool) -> None:
    """Write database and uploads to FILE.

    The site may be running meanwhile.
    SECRET_KEY, passwords in addresses, fetched weights and the gallery's own pictures are not included.
    """
    if verify:
        from app.backup.archive import unpack

        facts = unpack(file)
        click.echo(
            f"{file} is complete: Vitrine {facts['vitrine']}, {facts['created']}, {facts['database']}."
        )
        return
    from app.backup.saving import save

    saved = save(file, with_indexes=with_indexes)
    size = file.stat().st_size / 1e6
    indexes = f", indexes: {', '.join(saved.indexes)}" if saved.indexes else ""
    click.echo(f"Wrote {file}: {saved.pictures} uploaded pictures and the database{indexes}; {size:,.1f} MB.")
    list_some("Missing, though the database names them:", [(name, "no such file") for name in saved.missing])


@click.command("restore")
@click.argument("file", type=SOURCE)
@with_appcontext
@readable_errors
def restore(file: Path) -> None:
    """Restore a backup to an empty installation.

    FILE was made by `flask backup`; DATA_DIR and the database must be empty.
    """
    from app.backup.restoring import restore as run

    facts = run(file)
    click.echo(f"Restored the backup of {facts['created']}, made by Vitrine {facts['vitrine']}.")
    click.echo("Next: flask db upgrade, then flask doctor, which says what else is needed.")
