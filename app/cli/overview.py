"""The page of ``flask --help``: an introduction and Vitrine's commands first, then those of Flask."""

from __future__ import annotations

from collections.abc import Sequence

import click
from flask.cli import AppGroup, FlaskGroup

INTRODUCTION = """\
Vitrine is self-hosted visual search: give it a picture, and it finds the most similar pictures of your
gallery.

To start the whole site, use "make run". The commands below index pictures, fetch models and manage accounts.
"""


class Commands(AppGroup):
    """Vitrine's commands, as Flask's own command group finds them in the application.

    Flask's group loads the application only while it writes its help page, when it asks for the names of the
    commands. The one part of the page that it writes after that is the epilogue. So that is replaced by a
    function that writes the page again.

    Parameters
    ----------
    before : Group
        The application's group so far, with the commands of extensions.
    own : sequence of Command
        Vitrine's commands, in the order of the page.
    """

    def __init__(self, before: click.Group, own: Sequence[click.Command]) -> None:
        super().__init__(before.name, commands=before.commands)
        self._own = [command.name for command in own if command.name]
        for command in own:
            self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        if isinstance(ctx.command, FlaskGroup) and not ctx.resilient_parsing:  # not for shell completion
            ctx.command.format_epilog = self._write_page  # type: ignore[method-assign]
        return super().list_commands(ctx)

    def _write_page(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.buffer.clear()
        ctx.command.format_usage(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(INTRODUCTION)
        assert isinstance(ctx.command, FlaskGroup)  # noqa: S101 - see list_commands
        others = [name for name in ctx.command.list_commands(ctx) if name not in self._own]
        for title, names in (("Commands", self._own), ("Commands of Flask and its extensions", others)):
            found = [(name, ctx.command.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(60)) for name, command in found if command is not None]
            with formatter.section(title):
                formatter.write_dl(rows)
        click.Command.format_options(ctx.command, ctx, formatter)
