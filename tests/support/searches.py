"""Create, claim and finish searches in the database, for tests."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.database import Owner, Search, SearchKind, Upload
from app.extensions import db
from app.transactions import transaction
from app.uploads import storage
from tests.support.web import photo
from worker import attempts

SOMEONE = Owner(visitor="0" * 64)
FINGERPRINT = {"weights_sha256": "ab", "preprocess": "official", "positions": "official", "dim": 64}


def waiting_search(owner: Owner = SOMEONE, *, item: str | None = None, **values: Any) -> uuid.UUID:
    """Create a queued search with an upload, or with an item of the gallery; return its id."""
    owned = {"user_id": owner.user_id, "visitor": owner.visitor}
    upload = None
    if item is None:
        name = storage.save_original(io.BytesIO(photo()))
        upload = Upload(
            **owned, filename="p.jpg", stored_name=name, format="JPEG", width=64, height=48, size=9
        )
    kind = SearchKind.UPLOAD if item is None else SearchKind.ITEM
    values.setdefault("submission", uuid.uuid4().hex)
    search = Search(id=uuid.uuid4(), **owned, kind=kind, upload=upload, query_item=item, **values)
    search_id = search.id
    with transaction() as session:
        session.add(search)
    return search_id


def claimed(search_id: uuid.UUID, lease_seconds: float = 10.0) -> attempts.Claim:
    """Claim a queued search as a worker does."""
    claim = attempts.claim(search_id, lease_seconds)
    assert claim is not None
    return claim


def hits(count: int = 3) -> list[attempts.Hit]:
    """Return made-up hits, best first."""
    return [
        attempts.Hit(f"{n:016x}", f"{n}.jpg", f"a/{n}.jpg", f"{n:064x}", 40, 30, 1 - n / 10)
        for n in range(count)
    ]


def finish(claim: attempts.Claim, found: Sequence[attempts.Hit] | None = None, **values: Any) -> bool:
    """Finish a search as the worker does."""
    fixed = {"seconds": 0.5, "searched": 12, "generation": "00000001-ab", "model": "tiny"}
    return attempts.finish(claim, hits() if found is None else found, **fixed | values)


def row(search_id: uuid.UUID) -> Search:
    """Return the search as it is in the database now."""
    db.session.rollback()
    return db.session.get_one(Search, search_id, populate_existing=True)


def set_created(search_id: uuid.UUID, moment: datetime) -> None:
    """Set when a search was created."""
    with transaction() as session:
        session.get_one(Search, search_id).created = moment


def set_uploaded(search_id: uuid.UUID, moment: datetime) -> None:
    """Set when the upload of a search was created."""
    with transaction() as session:
        upload = session.get_one(Search, search_id).upload
        assert upload is not None
        upload.created = moment
