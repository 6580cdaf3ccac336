"""The identity of a site, by which its database and its ``DATA_DIR`` recognise each other."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base


class Site(Base):
    """The only row: a random id that is also in a file of ``DATA_DIR``. Missing until the first start."""

    __tablename__ = "site"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(sa.String(64))
