"""Static files under addresses that contain a version, so that browsers cache them and never use stale ones.

The version is part of the path, so the relative addresses in scripts and style sheets have it too and need
not be rewritten. All files share one version, since they are few and small.
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
    """Serve the files, and let ``url_for("static", filename=...)`` add the version."""
    current = version(FOLDER)

    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == ENDPOINT:
            values.setdefault("version", current)

    def send(version: str, filename: str) -> Response:
        # While a new version is rolled out, a page may come from one process and its files from another:
        # serve these files, but do not let them be cached.
        cacheable = version == current
        response = send_from_directory(FOLDER, filename, max_age=ONE_YEAR if cacheable else None)
        response.cache_control.immutable = cacheable
        return response

    app.url_defaults(add_version)
    app.add_url_rule("/static/<version>/<path:filename>", ENDPOINT, send)


def version(folder: Path) -> str:
    """Return a hash of the names and contents of all files in `folder` and its subfolders."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        for part in (name, content):
            digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:VERSION_LENGTH]
