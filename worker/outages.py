"""Outages of disk and database: how they are recognised, and whether one is over.

An outage says nothing about the search that met it, so it does not count as an attempt. The searcher that met
it ends, and the supervisor starts none until a test write succeeds.
"""

from __future__ import annotations

import errno
import os
import uuid

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.context import settings
from app.database import RECONCILER, Lease
from app.extensions import db
from app.transactions import transaction
from app.uploads import storage

STATUS = 74  # exit status of a searcher that met an outage
PROBE_BYTES = 1 << 20  # more than a preview takes
# Not EFBIG, which may be due to one picture and would then come again at every attempt.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def is_outage(error: BaseException) -> bool:
    """Return whether an error means that disk or database are unavailable to every search."""
    if isinstance(error, OSError):
        return error.errno in _DISK_ERRORS
    return isinstance(error, OperationalError | PoolTimeoutError)


def problem(app: Flask) -> str:
    """Try to write to the disk of the uploads and to the database; return what fails, or an empty string."""
    with app.app_context():
        try:
            _write_file()
            with transaction() as session:
                session.execute(sa.update(Lease).where(Lease.name == RECONCILER).values(holder=Lease.holder))
        except OSError as error:
            return f"the disk of {settings().uploads_dir} cannot be written ({error.strerror})"
        except SQLAlchemyError as error:
            return f"the database cannot be written ({type(error).__name__})"
        finally:
            db.session.remove()
            db.engine.dispose()  # the caller forks, and processes cannot share a connection
    return ""


def _write_file() -> None:
    folder = settings().uploads_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}{storage.PART}"  # a draft that a kill leaves is swept
    try:
        with path.open("xb", buffering=0) as file:
            if file.write(os.urandom(PROBE_BYTES)) < PROBE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        path.unlink(missing_ok=True)
