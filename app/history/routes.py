"""Look through past searches and delete them."""

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
from app.visitor import owner

PAGE_SIZE = 20
LAST_PAGE = 1_000_000  # what databases still count to

bp = Blueprint("history", __name__)


@bp.get("/history")
def index() -> ResponseReturnValue:
    """A page of past searches, the newest first."""
    mine = Search.owned_by(whose) if (whose := owner()) else sa.false()
    found = db.paginate(
        with_parts(sa.select(Search).where(mine).order_by(Search.created.desc(), Search.id)),
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
    """Delete one search, with its picture where no other search needs it."""
    whose = owner()
    if whose is None or not delete_searches(whose, search_id):
        abort(404)
    return redirect(url_for("history.index"), 303)


@bp.post("/history/delete")
def delete_all() -> ResponseReturnValue:
    """Delete all of the owner's searches and pictures."""
    if (whose := owner()) is not None:
        delete_searches(whose)
    return redirect(url_for("history.index"), 303)
