"""An application with a full disk: ``unshare -rm python -m tests.support.full_disk FOLDER``.

In a separate mount namespace, small tmpfs mounts take the place of the disk. The result of each scenario is
printed as JSON for the test.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from PIL import Image
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import tokens
from app.database import Search, Upload, utcnow
from app.extensions import db
from config import load_settings
from tests.support.databases import KEY, migrate
from tests.support.galleries import tiny_index
from tests.support.servers import answers, free_port, process
from tests.support.web import JSON, Browser, account_id, photo
from worker.jobs import LEASE_SECONDS, run_search
from worker.reconciliation import reconcile
from worker.runtime import Runtime, use

DISK = 4 << 20


class FullDiskApp:
    """An application with its uploads, its temporary files or everything on a small disk."""

    def __init__(self, directory: Path, *, small: Path) -> None:
        self.small = small
        small.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", small], check=True)
        self.settings = load_settings({"DATA_DIR": str(directory), "SECRET_KEY": KEY, "MODEL": "tiny"})
        migrate(self.settings)
        self.app = create_app(self.settings)
        self.browser = Browser(self.app)
        self.browser.signup()
        with self.app.app_context():
            self.token = tokens.create(account_id(self.app, "maria"), "program")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Fill the disk until the block ends."""
        filler = self.small / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
        filler.unlink()

    def state(self) -> list[Any]:
        """Return the numbers of searches and uploads, and the names of the stored files."""
        with self.app.app_context():
            counts = [db.session.scalar(sa.select(sa.func.count()).select_from(t)) for t in (Search, Upload)]
        return [*counts, sorted(path.name for path in self.settings.uploads_dir.glob("*"))]

    def search_id(self) -> uuid.UUID:
        with self.app.app_context():
            return db.session.scalars(sa.select(Search.id)).one()

    def tries(self, content: bytes) -> dict[str, Any]:
        """Submit a picture by the form and by the API, while the disk is full and afterwards."""
        before = self.state()
        with self.full():
            full = [refusal(self.form(content)), refusal(self.program(content))]
            page = self.browser.get("/about").status_code
        return {
            "full": full,
            "page": page,
            "unchanged": self.state() == before,
            "later": [self.form(content).status_code, self.program(content).status_code],
        }

    def form(self, content: bytes) -> TestResponse:
        """Send the page's form as prepared bytes: the test client would need the disk to encode it."""
        fields = (b'csrf_token"', self.browser.token().encode()), (b'image"; filename="p.png"', content)
        parts = [b'--x\r\nContent-Disposition: form-data; name="%b\r\n\r\n%b\r\n' % field for field in fields]
        kind = "multipart/form-data; boundary=x"
        data = b"".join(parts) + b"--x--\r\n"
        return self.browser.client.post("/searches", data=data, content_type=kind, headers=JSON)

    def program(self, content: bytes) -> TestResponse:
        """Send a picture by the API."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.app.test_client().post("/api/v1/searches", data=content, headers=headers)


def refusal(answer: TestResponse) -> list[Any]:
    """Return the status, the error's code, and whether there is a ``Retry-After``."""
    assert answer.json is not None
    return [answer.status_code, answer.json["error"]["code"], "Retry-After" in answer.headers]


def uploads(directory: Path) -> dict[str, Any]:
    """Only the folder of uploads is full."""
    return FullDiskApp(directory, small=directory / "uploads").tries(large())


def everything(directory: Path) -> dict[str, Any]:
    """The database is on the full disk too."""
    return FullDiskApp(directory, small=directory).tries(photo())


def temporary(directory: Path) -> dict[str, Any]:
    """There is no space for the temporary file of a large body."""
    application = FullDiskApp(directory, small=directory.parent / "tmp")
    tempfile.tempdir = str(application.small)
    try:
        return application.tries(large())
    finally:
        tempfile.tempdir = None


def preview(directory: Path) -> dict[str, Any]:
    """The worker has found similar pictures, and cannot save the preview."""
    application = FullDiskApp(directory, small=directory / "uploads")
    tiny_index(application.settings)
    runtime = Runtime(application.app)
    runtime.refresh()
    use(runtime)
    application.browser.searched()
    files = application.state()[2]
    search_id = application.search_id()
    with application.full():
        run_search(str(search_id))
        status = application.browser.get(f"/searches/{search_id}/status").json
        kept = set(application.state()[2]) == {*files, "filler"}
    with application.app.app_context():
        attempts = db.session.get_one(Search, search_id).attempt
        later = utcnow() + timedelta(seconds=LEASE_SECONDS)
        waiting = reconcile(set(), later).enqueue == [search_id]
    run_search(str(search_id))
    later = application.browser.get(f"/searches/{search_id}/status").json
    return {
        "full": [status["status"], attempts, kept],
        "later": [waiting, later["status"], len(later["results"]) > 0],
    }


def server(directory: Path) -> dict[str, Any]:
    """There is no space for the temporary file in which the real server buffers a large body."""
    application = FullDiskApp(directory, small=directory / "tmp")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environ = {"DATA_DIR": str(directory), "SECRET_KEY": KEY, "MODEL": "tiny", "PORT": str(port)}
    headers = {"Authorization": f"Bearer {application.token}"}

    def send() -> int | None:
        with contextlib.suppress(requests.ConnectionError):
            url = f"{address}/api/v1/searches"
            return requests.post(url, data=large(), headers=headers, timeout=20).status_code
        return None

    environ |= {"REDIS_URL": application.settings.redis_url}
    log = directory.parent / "web.log"
    with process("wsgi.py", environ=environ, log=log, ready=lambda: answers(address)):
        first, before = send(), application.state()
        with application.full():
            refused = send() in (None, 503)
            page = requests.get(f"{address}/about", timeout=20).status_code
            unchanged = application.state() == before
        return {"first": first, "refused": refused, "page": page, "unchanged": unchanged, "later": send()}


def large() -> bytes:
    """Return a picture too large to stay in memory while it is received."""
    file = io.BytesIO()
    Image.effect_noise((1000, 900), 80).save(file, "PNG")
    assert 1 << 19 < len(file.getvalue()) < DISK // 4
    return file.getvalue()


if __name__ == "__main__":
    logging.disable()
    for number, scenario in enumerate((uploads, everything, temporary, preview, server)):
        folder = Path(sys.argv[1]) / str(number) / "data"
        sys.stdout.write(json.dumps({scenario.__name__: scenario(folder)}) + "\n")
