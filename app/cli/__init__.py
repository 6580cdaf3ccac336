"""The ``flask`` commands. Each imports what it needs when it runs, so the web process never loads NumPy."""

from __future__ import annotations

from flask import Flask

from app.cli.backup import backup, restore
from app.cli.doctor import doctor
from app.cli.fetch import gallery_demo, gallery_download, model_fetch
from app.cli.gallery import gallery_cli
from app.cli.model import model_cli
from app.cli.overview import Commands
from app.cli.site import site_cli
from app.cli.user import user_cli


def init_app(app: Flask) -> None:
    """Register the commands, in the order in which ``flask --help`` lists them."""
    model_cli.add_command(model_fetch)
    gallery_cli.add_command(gallery_download)
    gallery_cli.add_command(gallery_demo)
    app.cli = Commands(app.cli, own=(gallery_cli, model_cli, user_cli, doctor, site_cli, backup, restore))
