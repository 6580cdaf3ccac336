"""``flask user``: manage accounts from the command line."""

from __future__ import annotations

from typing import Any

import click
import sqlalchemy as sa
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from app.accounts import names, passwords, service, sessions
from app.database import User
from app.extensions import db


class UserGroup(AppGroup):
    """A group whose commands report database errors in one line, with the fix."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except DBAPIError as error:
            raise click.ClickException("The database is not usable; run: flask doctor") from error


user_cli = UserGroup("user", help="Create, list and delete accounts.")


@user_cli.command("create")
@click.argument("name")
@click.password_option(help="Asked for unless given.")
def create(name: str, password: str) -> None:
    """Create the account NAME."""
    if not names.allowed(names.clean(name)):
        raise click.ClickException(
            "A name has 2 to 32 characters: letters of one script, digits, and . _ - between them."
        )
    _check(password, name)
    try:
        service.create(name, password)
    except service.NameTakenError as error:
        raise click.ClickException(
            "This name is taken, or looks like one that is. Choose another."
        ) from error
    click.echo(f"Created {names.clean(name)}.")


@user_cli.command("list")
def list_users() -> None:
    """List the accounts."""
    for user in db.session.scalars(sa.select(User).order_by(User.name_key)):
        click.echo(f"{user.name}\t{user.created:%Y-%m-%d}")


@user_cli.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the account with all its searches and pictures?")
def delete(name: str) -> None:
    """Delete the account NAME and all its data."""
    service.delete(_find(name).id)
    click.echo(f"Deleted {name}.")


@user_cli.command("set-password")
@click.argument("name")
@click.password_option(help="Asked for unless given.")
def set_password(name: str, password: str) -> None:
    """Set a new password for NAME and end its sessions."""
    user = _find(name)
    _check(password, user.name)
    service.set_password(user.id, password)
    click.echo(f"The password of {name} has been changed, and all its sessions have ended.")


@user_cli.command("sessions")
@click.argument("name")
@click.option("--end", is_flag=True, help="End the sessions.")
def show_sessions(name: str, end: bool) -> None:
    """List the sessions of NAME."""
    user = _find(name)
    if end:
        sessions.end_all(user.id)
        click.echo(f"All sessions of {name} have ended.")
        return
    for session in sessions.active(user.id):
        click.echo(f"{session.created:%Y-%m-%d %H:%M} UTC\t{session.user_agent or 'unknown browser'}")


def _find(name: str) -> User:
    user = service.find(name)
    if user is None:
        raise click.ClickException(f"There is no account {name!r}; to list all, run: flask user list")
    return user


def _check(password: str, name: str) -> None:
    failures = passwords.failures(password, name)
    if failures:
        raise click.ClickException(" ".join(failure.message for failure in failures))
