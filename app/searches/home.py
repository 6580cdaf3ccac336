"""The home page; rendered by `app.main`, and by `routes` with an error when a picture is refused."""

from __future__ import annotations

import sqlalchemy as sa
from flask import render_template

from app import queue
from app.context import settings
from app.database import Search
from app.extensions import db
from app.gallery import current
from app.messages import MESSAGES, QUEUE_DOWN
from app.searches.forms import SearchForm
from app.searches.service import with_parts
from app.searches.views import views
from app.visitor import ensure_owner
from model.pictures import MOST_OF_JPEG

SAMPLES = 8
RECENT = 4


def render_home(form: SearchForm) -> str:
    """Return the page with `form` on it.

    A new browser gets its key here, so that two first searches that are sent at once have the same owner.
    """
    catalog = current.catalog()
    owned = sa.select(Search).where(Search.owned_by(ensure_owner()))
    recent = db.session.scalars(with_parts(owned.order_by(Search.created.desc()).limit(RECENT)))
    return render_template(
        "home.html",
        form=form,
        samples=[] if catalog is None else catalog.samples(SAMPLES),
        demo=catalog is not None and catalog.is_demo(),
        recent=views(recent.all()),
        refusals=MESSAGES,
        max_pixels=settings().max_pixels,
        max_jpeg_pixels=MOST_OF_JPEG * settings().max_pixels,
        notice=None if queue.ping() else QUEUE_DOWN,
    )
