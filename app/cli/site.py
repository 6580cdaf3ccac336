"""``flask site``: the pair of database and ``DATA_DIR``, and its stored pictures."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app import pairing
from app.uploads import storage

site_cli = AppGroup("site", help="Pair the database with DATA_DIR.")


@site_cli.command("adopt")
@click.confirmation_option(
    prompt="Stored pictures that this database does not know will be removed after a week. Continue?"
)
def adopt() -> None:
    """Pair the database with DATA_DIR.

    For an intended new pair, such as a restored database. Sites that are running must be stopped first.
    """
    pairing.adopt()
    click.echo("Database and DATA_DIR belong together now.")


@site_cli.command("sweep")
def sweep() -> None:
    """Set aside the stored pictures that no search refers to.

    The worker does this by itself, except if they are more than half of all. They can be brought back from
    DATA_DIR/uploads/set-aside for a week.
    """
    pairing.check()
    count = storage.remove_orphans(limited=False)
    click.echo(f"Stored pictures set aside: {count}. They are in {storage.set_aside_folder()}.")
