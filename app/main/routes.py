"""Pages that belong to no other room."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.main.preferences import save
from app.paths import safe_next
from app.searches.forms import SearchForm
from app.searches.home import render_home

bp = Blueprint("main", __name__)


@bp.get("/")
def home() -> ResponseReturnValue:
    """Where a picture is put in."""
    return render_home(SearchForm())


@bp.get("/about")
def about() -> ResponseReturnValue:
    """Which model searches which gallery, and how to change either."""
    return render_template("about.html")


@bp.post("/preferences")
def preferences() -> ResponseReturnValue:
    """Remember the language and the theme that were chosen by hand."""
    target = safe_next(request.form.get("next"), url_for("main.home"))
    return save(redirect(target, 303), request.form)
