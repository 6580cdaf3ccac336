"""Check that the database and ``DATA_DIR`` belong to the same site.

Rows decide which stored pictures exist, so a sweep with another database, such as an empty one because
``DATABASE_URL`` was forgotten, would remove all of them. Database and ``DATA_DIR`` therefore carry the same
random id. It is made at the first start; web process, worker and ``make run`` refuse to start with a
stranger, and the sweep checks again.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.context import settings
from app.database import Site
from app.extensions import db
from app.transactions import transaction
from app.uploads import storage
from model.files import replacing

_ROW = 1


class StrangerError(RuntimeError):
    """Database and ``DATA_DIR`` do not belong together; the message says how to fix it."""


def identity_file() -> Path:
    """Return the path of the file in ``DATA_DIR`` that holds the id."""
    return settings().data_dir / "site_id"


def check() -> bool:
    """Compare the two ids; a new site, or one without an id so far, gets its id.

    Returns
    -------
    bool
        Whether the ids are known to be equal; False if the database is unavailable or not migrated.

    Raises
    ------
    StrangerError
        The ids differ, or nearly all stored pictures are unknown to the database.
    OSError
        ``DATA_DIR`` cannot be read or written.
    """
    try:
        row, file = _row(), _file()
        if row is not None and row == file:
            return True
        if file is not None or storage.census().absurd:
            raise StrangerError(_stranger())
        _write(row or secrets.token_hex(16), new=row is None)
    except IntegrityError:  # another process was first
        return check()
    except DBAPIError:
        db.session.rollback()
        return False
    return True


def known() -> bool:
    """Return whether the ids are equal, without changing anything.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        The database is unavailable or not migrated.
    StrangerError
        They differ.
    """
    row, file = _row(), _file()
    if file is not None and row != file:
        raise StrangerError(_stranger())
    return row is not None and row == file


def adopt() -> None:
    """Make the database and ``DATA_DIR`` a pair, whatever they belonged to before."""
    with transaction() as session:
        session.execute(sa.delete(Site))
    identity_file().unlink(missing_ok=True)
    _write(secrets.token_hex(16), new=True)


def _write(identity: str, *, new: bool) -> None:
    with transaction() as session:
        if new:
            session.add(Site(number=_ROW, identity=identity))
            session.flush()
        with replacing(identity_file(), sync=True, sync_name=True) as file:
            file.write(f"{identity}\n".encode())


def _row() -> str | None:
    found = db.session.scalar(sa.select(Site.identity).where(Site.number == _ROW))
    db.session.rollback()
    return found


def _file() -> str | None:
    try:
        return identity_file().read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None


def _stranger() -> str:
    place = sa.make_url(settings().database_url).render_as_string(hide_password=True)
    return (
        f"DATA_DIR {settings().data_dir} does not belong to the database {place}. Set DATABASE_URL and"
        " DATA_DIR to a pair that belongs together. If this pair is intended, run: flask site adopt"
    )
