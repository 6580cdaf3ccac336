"""The form for uploading a picture."""

from __future__ import annotations

import secrets

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import HiddenField


class SearchForm(FlaskForm):  # type: ignore[misc]
    """An upload; `submission` is a token that makes a form that is sent twice one search."""

    image = FileField()
    submission = HiddenField(default=lambda: secrets.token_urlsafe(16))
