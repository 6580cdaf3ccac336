"""The ``flask`` commands. Each loads what it needs when it runs, so the web process stays without NumPy."""

from __future__ import annotations

from flask import Flask

from app.cli.doctor import doctor
from app.cli.gallery import gallery_cli
from app.cli.user import user_cli


def init_app(app: Flask) -> None:
    """Register the commands."""
    for command in (gallery_cli, user_cli, doctor):
        app.cli.add_command(command)
