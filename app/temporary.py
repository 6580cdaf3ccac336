"""Temporary files lie in DATA_DIR, so that a full or read-only ``/tmp`` does not break uploads."""

from __future__ import annotations

import tempfile

from config import Settings

PROBE_BYTES = 2**20


def use_data_dir(settings: Settings) -> None:
    """Let this process, Waitress and Werkzeug included, write its temporary files to DATA_DIR."""
    settings.temporary_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    tempfile.tempdir = str(settings.temporary_dir)


def problem(settings: Settings) -> str:
    """Return why temporary files cannot be written, or an empty string."""
    try:
        settings.temporary_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.temporary_dir) as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as error:
        return error.strerror or str(error)
    return ""
