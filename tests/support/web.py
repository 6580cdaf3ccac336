"""A browser for tests: it keeps cookies, and sends the token of the page it looks at."""

from __future__ import annotations

import io
import re
import uuid
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from app.accounts import service

PASSWORD = "rhubarb-and-ginger"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
JSON = {"Accept": "application/json"}

BOTH = pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])


def photo(colour: tuple[int, int, int] = (200, 60, 30), kind: str = "JPEG", **options: Any) -> bytes:
    """A picture file."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, kind, **options)
    return file.getvalue()


def account_id(app: Flask, name: str) -> int:
    """The id of an account."""
    with app.app_context():
        user = service.find(name)
        assert user is not None
        return user.id


class Browser:
    """One visitor of an application."""

    def __init__(self, app: Flask, address: str = "127.0.0.1") -> None:
        self.app = app
        self.client = app.test_client()
        self.client.environ_base["REMOTE_ADDR"] = address

    def get(self, path: str, **options: Any) -> TestResponse:
        """Look at a page."""
        return self.client.get(path, buffered=True, **options)

    def token(self, path: str = "/login") -> str:
        """The token that this browser's forms carry."""
        page = self.client.get(path, follow_redirects=True).text
        found = TOKEN.search(page)
        assert found is not None
        return found[1]

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """Send a form."""
        return self.send(path, {"csrf_token": self.token(), **(data or {})}, **options)

    def send(self, path: str, data: dict[str, Any], **options: Any) -> TestResponse:
        """Send a form as it is, without a token of its own."""
        answer = self.client.post(
            path, data=data, content_type="multipart/form-data", buffered=True, **options
        )
        answer.request.environ["wsgi.input"].close()  # a file, where the form is large
        return answer

    def signup(self, name: str = "maria", password: str = PASSWORD) -> TestResponse:
        """Make an account and be signed in to it."""
        return self.post("/signup", {"username": name, "password": password})

    def login(self, name: str = "maria", password: str = PASSWORD, **fields: str) -> TestResponse:
        """Sign in."""
        return self.post("/login", {"username": name, "password": password, **fields})

    def logged_in(self) -> bool:
        """Whether the account's page opens."""
        return self.client.get("/account").status_code == 200

    def search(
        self, content: bytes | None = None, filename: str = "p.jpg", submission: str | None = None
    ) -> TestResponse:
        """Put in a picture as the page's script does."""
        data = {
            "image": (io.BytesIO(photo() if content is None else content), filename),
            "submission": submission or uuid.uuid4().hex,
        }
        return self.post("/searches", data, headers=JSON)

    def searched(self, **options: Any) -> uuid.UUID:
        """Put in a picture, and return the search's id."""
        answer = self.search(**options)
        assert answer.status_code == 201, answer.text
        return uuid.UUID(answer.json["id"])
