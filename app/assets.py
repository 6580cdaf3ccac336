"""Static files under an address that names their content, so that browsers keep them and never use old ones.

The version stands in the path: what a script imports and a style sheet names lies beside it, and so has the
same version without being rewritten. One version for all files will do, as they are few and small.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, Response, send_from_directory

ENDPOINT = "static"
FOLDER = Path(__file__).parent / "static"
VERSION_LENGTH = 16
ONE_YEAR = 31_536_000  # seconds


def init_app(app: Flask) -> None:
    """Serve the files, and let ``url_for("static", filename=...)`` name their version."""
    current = version(FOLDER)

    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == ENDPOINT:
            values.setdefault("version", current)

    def send(version: str, filename: str) -> Response:
        # While a new version is rolled out a page may come from one process and its files from another: these
        # are served, and not kept.
        kept = version == current
        response = send_from_directory(FOLDER, filename, max_age=ONE_YEAR if kept else None)
        response.cache_control.immutable = kept
        return response

    app.url_defaults(add_version)
    app.add_url_rule("/static/<version>/<path:filename>", ENDPOINT, send)


def version(folder: Path) -> str:
    """Return a hash of the names and contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        for part in (name, content):
            digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:VERSION_LENGTH]
