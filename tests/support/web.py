"""A test client that acts like a browser: it keeps cookies and sends CSRF tokens."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Mapping
from typing import Any, Self

import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from app.accounts import service
from app.extensions import db

PASSWORD = "rhubarb-and-ginger"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
JSON = {"Accept": "application/json"}
SESSION, REMEMBER = "vitrine_session", "vitrine_remember"

BOTH = pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])


def photo(colour: tuple[int, int, int] = (200, 60, 30), kind: str = "JPEG", **options: Any) -> bytes:
    """Return a picture file."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, kind, **options)
    return file.getvalue()


def count(app: Flask, table: type | sa.Table) -> int:
    """Return the number of rows in a table."""
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def account_id(app: Flask, name: str) -> int:
    """Return the id of an account."""
    with app.app_context():
        user = service.find(name)
        assert user is not None
        return user.id


class Browser:
    """A browser that visits an application."""

    def __init__(self, app: Flask, address: str = "127.0.0.1") -> None:
        self.app = app
        self.client = app.test_client()
        self.client.environ_base["REMOTE_ADDR"] = address

    @classmethod
    def holding(cls, app: Flask, cookies: Mapping[str, str]) -> Self:
        """Return another browser with stolen cookies."""
        thief = cls(app)
        for name, value in cookies.items():
            thief.client.set_cookie(name, value)
        return thief

    def cookies(self) -> dict[str, str]:
        """Return the two cookies that can keep an account logged in."""
        found = (self.client.get_cookie(name) for name in (SESSION, REMEMBER))
        return {cookie.key: cookie.value for cookie in found if cookie is not None}

    def get(self, path: str, **options: Any) -> TestResponse:
        """Open a page."""
        return self.client.get(path, buffered=True, **options)

    def token(self, path: str = "/login") -> str:
        """Return the CSRF token of this browser's forms."""
        page = self.client.get(path, follow_redirects=True).text
        found = TOKEN.search(page)
        assert found is not None
        return found[1]

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """Send a form with its CSRF token."""
        return self.send(path, {"csrf_token": self.token(), **(data or {})}, **options)

    def send(self, path: str, data: dict[str, Any], **options: Any) -> TestResponse:
        """Send a form without adding a CSRF token."""
        answer = self.client.post(
            path, data=data, content_type="multipart/form-data", buffered=True, **options
        )
        answer.request.environ["wsgi.input"].close()  # a temporary file if the form is large
        return answer

    def signup(self, name: str = "maria", password: str = PASSWORD) -> TestResponse:
        """Create an account and log in."""
        return self.post("/signup", {"username": name, "password": password})

    def login(self, name: str = "maria", password: str = PASSWORD, **fields: str) -> TestResponse:
        """Log in."""
        return self.post("/login", {"username": name, "password": password, **fields})

    def logged_in(self) -> bool:
        """Return whether the browser is logged in."""
        return self.client.get("/account").status_code == 200

    def search(
        self, content: bytes | None = None, filename: str = "p.jpg", submission: str | None = None
    ) -> TestResponse:
        """Upload a picture as the script of the page does."""
        data = {
            "image": (io.BytesIO(photo() if content is None else content), filename),
            "submission": submission or uuid.uuid4().hex,
        }
        return self.post("/searches", data, headers=JSON)

    def searched(self, **options: Any) -> uuid.UUID:
        """Upload a picture and return the id of the search."""
        answer = self.search(**options)
        assert answer.status_code == 201, answer.text
        return uuid.UUID(answer.json["id"])
