"""The WSGI application, as ``wsgi:app``; ``python wsgi.py`` serves it with `app.server`."""

from __future__ import annotations

import sys

from app import create_app, private_files, utf8
from config import SettingsError

if __name__ == "__main__":
    from app.server import main

    utf8.ensure()
    sys.exit(main())

utf8.ensure_on_import()
private_files.restrict_new_files()
try:
    app = create_app()
    private_files.restrict(app.config["VITRINE"])
except SettingsError as error:  # one line instead of a traceback, for the ``flask`` command as well
    sys.exit(f"vitrine: {error}")
