"""The home page, the About page, and the form for preferences."""

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
    """Show the home page with the form for a search."""
    return render_home(SearchForm())


@bp.get("/about")
def about() -> ResponseReturnValue:
    """Show the model and gallery in use, and how to change them."""
    return render_template("about.html")


@bp.post("/preferences")
def preferences() -> ResponseReturnValue:
    """Store the chosen language or theme."""
    target = safe_next(request.form.get("next"), url_for("main.home"))
    return save(redirect(target, 303), request.form)
