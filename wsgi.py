"""The web application as a WSGI server finds it."""

from __future__ import annotations

from app import create_app

app = create_app()
