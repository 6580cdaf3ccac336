"""The four ways to give Vitrine a picture, behind one interface, and a visitor of a real site."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from flask import Flask
from PIL import Image

from app.accounts import tokens
from app.database import Search, Upload
from app.extensions import db
from config import Settings
from gallery.download import Bounds, download
from gallery.indexing import build
from model.pictures import open_rgb
from tests.support.galleries import tiny_encoder
from tests.support.http import serving
from tests.support.installation import Installation
from tests.support.waiting import eventually
from tests.support.web import JSON, PASSWORD, TOKEN, Browser, account_id, photo

DOORS = ("page", "api", "index", "download")
SOUND = photo(kind="PNG")
SOUND_SHA256 = hashlib.sha256(SOUND).hexdigest()
BOUNDS = Bounds(delay=0.0, attempts=1, max_bytes=64 << 20, host_patience=600.0)


class Doors:
    """An application and a gallery's folder, both empty at first."""

    def __init__(self, app: Flask, settings: Settings, directory: Path) -> None:
        self.app, self.settings, self.directory = app, settings, directory

    def refusals(self, door: str, files: Mapping[str, bytes]) -> dict[str, str]:
        """Send files in one way; return the code of each refusal, or an empty string for accepted files."""
        return dict.fromkeys(files, "") | dict(getattr(self, f"_{door}")(files))

    def kept(self) -> int:
        """Return the number of rows, stored pictures and thumbnails, without those of `SOUND`."""
        with self.app.app_context():
            counts = [db.session.scalar(sa.select(sa.func.count()).select_from(t)) for t in (Search, Upload)]
        folders = (self.settings.uploads_dir, self.directory / "brought", self.settings.thumbnails_dir)
        names = {path.name for folder in folders for path in folder.rglob("*.*") if path.suffix}
        return sum(count or 0 for count in counts) + len(names - {f"{SOUND_SHA256}.jpg"})

    def _page(self, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
        for name, data in files.items():
            answer = Browser(self.app).search(content=data, filename=f"{name}.png")
            yield name, code_of(answer.status_code, answer.json)

    def _api(self, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
        browser = Browser(self.app)
        browser.signup()
        with self.app.app_context():
            headers = {"Authorization": f"Bearer {tokens.create(account_id(self.app, 'maria'), 'program')}"}
        for name, data in files.items():
            client = self.app.test_client()
            answer = client.post("/api/v1/searches", data=data, headers=headers, content_type="image/png")
            yield name, code_of(answer.status_code, answer.json)

    def _index(self, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
        root = self.directory / "pictures"
        root.mkdir(exist_ok=True)
        (root / "sound.png").write_bytes(SOUND)  # a folder without any picture is refused
        for name, data in files.items():
            (root / f"{name}.png").write_bytes(data)
        encoder = tiny_encoder(self.directory / "weights")
        report = build(
            root, self.settings.index_dir, encoder, thumbnails_dir=self.settings.thumbnails_dir, workers=1
        )
        for path, reason in report.skipped:
            yield path.removesuffix(".png"), reason.partition(":")[0]

    def _download(self, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
        with serving() as site:
            addresses = {site.put(f"/{uuid.uuid4().hex}.png", data): name for name, data in files.items()}
            listed = self.directory / "list.csv"
            listed.write_text("url\n" + "\n".join(addresses))
            report = download(str(listed), self.directory / "brought", bounds=BOUNDS)
        for failure in report.failed:
            yield addresses[failure.source], failure.reason.partition(":")[0]


def code_of(status: int, answer: Any) -> str:
    """Return the code of an error of the page or the API, or an empty string if the search was accepted."""
    if status == 201:
        return ""
    assert 400 <= status < 500, answer
    return str(answer["error"]["code"])


class Visitor:
    """A visitor of a real site, who submits pictures and waits for the results."""

    def __init__(self, site: Installation) -> None:
        self.site = site
        self.session = requests.Session()

    def get(self, path: str) -> requests.Response:
        """Request a page."""
        return self.session.get(self.site.url + path, timeout=20)

    def token(self, path: str = "/login") -> str:
        """Return the CSRF token in the forms of a page."""
        found = TOKEN.search(self.get(path).text)
        assert found is not None
        return found[1]

    def post(self, path: str, data: dict[str, str], **options: Any) -> requests.Response:
        """Send a form without following the redirect."""
        return self.session.post(self.site.url + path, data, timeout=20, allow_redirects=False, **options)

    def signup(self, name: str = "maria") -> requests.Response:
        """Create an account, which signs in."""
        return self.post("/signup", {"csrf_token": self.token(), "username": name, "password": PASSWORD})

    def submit(
        self, content: bytes, name: str = "p.jpg", *, token: str, submission: str | None = None
    ) -> requests.Response:
        """Submit a picture with the token of a page requested earlier."""
        form = {"csrf_token": token, "submission": submission or uuid.uuid4().hex}
        files = {"image": (name, io.BytesIO(content), "image/jpeg")}
        return self.post("/searches", form, files=files, headers=JSON)

    def send(self, content: bytes, name: str = "p.jpg") -> requests.Response:
        """Submit a picture."""
        return self.submit(content, name, token=self.token())

    def status(self, search: dict[str, Any]) -> dict[str, Any]:
        """Return the status of a search, as the page receives it."""
        told: dict[str, Any] = self.get(search["status_url"]).json()
        return told

    def searched(self, content: bytes, name: str = "p.jpg") -> dict[str, Any]:
        """Submit a picture, wait until its search has ended, and return its status."""
        answer = self.send(content, name)
        assert answer.status_code == 201, answer.text
        search = answer.json()
        ended: dict[str, Any] = eventually(
            lambda: told if (told := self.status(search))["status"] in ("done", "failed") else None
        )
        return ended

    def preview(self, search: dict[str, Any]) -> Image.Image:
        """Return the query picture of a finished search, as the site shows it."""
        assert search["status"] == "done", search
        return open_rgb(self.get(search["picture_url"]).content)
