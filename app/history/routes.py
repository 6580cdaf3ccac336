"""The pages for viewing and deleting past searches."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.database import Search
from app.extensions import db
from app.searches.deletion import delete_searches
from app.searches.service import with_parts
from app.searches.views import views
from app.visitor import current_owner

PAGE_SIZE = 20
LAST_PAGE = 1_000_000  # keeps OFFSET within the range of every database

bp = Blueprint("history", __name__)


@bp.get("/history")
def index() -> ResponseReturnValue:
    """List past searches, newest first."""
    owned = Search.owned_by(owner) if (owner := current_owner()) else sa.false()
    found = db.paginate(
        with_parts(sa.select(Search).where(owned).order_by(Search.created.desc(), Search.id)),
        page=min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE),
        per_page=PAGE_SIZE,
        max_per_page=PAGE_SIZE,
    )
    return render_template(
        "history.html",
        searches=views(found.items),
        page=found.page,
        pages=max(1, found.pages),
        pagination=found,
    )


@bp.post("/history/<uuid:search_id>/delete")
def delete(search_id: uuid.UUID) -> ResponseReturnValue:
    """Delete one search, and its picture unless another search uses it."""
    owner = current_owner()
    if owner is None or not delete_searches(owner, search_id):
        abort(404)
    return redirect(url_for("history.index"), 303)


@bp.post("/history/delete")
def delete_all() -> ResponseReturnValue:
    """Delete all searches and pictures of the owner."""
    if (owner := current_owner()) is not None:
        delete_searches(owner)
    return redirect(url_for("history.index"), 303)
