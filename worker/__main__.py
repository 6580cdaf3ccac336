"""Entry point of ``python -m worker``; runs until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys

from app import create_app, logging, pairing, private_files, temporary, utf8
from app.extensions import db
from config import SettingsError, load_settings
from worker.limits import pin_threads
from worker.runtime import Runtime
from worker.supervisor import Supervisor


def main() -> int:
    """Load weights and index, then supervise the worker's processes; return the exit status."""
    utf8.ensure()
    private_files.restrict_new_files()
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"vitrine: {error}\n")
        return 2
    logging.configure(settings)
    app = create_app(settings)
    private_files.restrict(settings)
    temporary.use_data_dir(settings)
    try:
        with app.app_context():
            pairing.check()
            db.session.remove()
            db.engine.dispose()  # the processes forked from here must not share a connection
    except pairing.StrangerError as error:
        sys.stderr.write(f"vitrine: {error}\n")
        return 2
    pin_threads(settings.workers)
    runtime = Runtime(app)
    runtime.refresh()
    return Supervisor(runtime).run()


if __name__ == "__main__":
    sys.exit(main())
