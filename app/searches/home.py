"""The home page."""

from __future__ import annotations

import sqlalchemy as sa
from flask import render_template

from app import queue
from app.database import Search
from app.extensions import db
from app.gallery import current
from app.messages import MESSAGES, QUEUE_AWAY
from app.searches.forms import SearchForm
from app.searches.service import with_parts
from app.searches.views import views
from app.visitor import new_owner
from model.pictures import MAX_PIXELS

SAMPLES = 8
RECENT = 4


def render_home(form: SearchForm) -> str:
    """Return the page with `form` on it.

    The browser gets its key here, before it sends anything: two first searches sent at once have one owner.
    """
    catalog = current.catalog()
    mine = sa.select(Search).where(Search.owned_by(new_owner()))
    recent = db.session.scalars(with_parts(mine.order_by(Search.created.desc()).limit(RECENT)))
    return render_template(
        "home.html",
        form=form,
        samples=[] if catalog is None else catalog.samples(SAMPLES),
        demo=catalog is not None and catalog.is_demo(),
        recent=views(recent.all()),
        refusals=MESSAGES,
        max_pixels=MAX_PIXELS,
        notice=None if queue.ping() else QUEUE_AWAY,
    )
