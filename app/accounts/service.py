"""Making, changing and deleting accounts."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.accounts import names, passwords, throttle
from app.database import Owner, Search, Upload, User, UserSession
from app.extensions import db
from app.searches.deletion import drop
from app.transactions import transaction
from app.uploads import storage


class NameTakenError(Exception):
    """Another account has this name, or one that looks like it."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account's plain values."""

    id: int
    name: str


def create(name: str, password: str) -> Account:
    """Make an account; both have passed their rules.

    Raises
    ------
    NameTakenError
        Another account has this name.
    """
    name = names.clean(name)
    user = User(name=name, name_key=names.key(name), password_hash=passwords.hash_password(password))
    try:
        with transaction() as session:
            session.add(user)
            session.flush()
            return Account(user.id, user.name)
    except IntegrityError as error:
        raise NameTakenError(name) from error


def authenticate(name: str, password: str) -> Account | None:
    """Return the account, where name and password belong together; unknown names cost the same time.

    Raises
    ------
    app.errors.ThrottledError
        Too many tries for this name, or from this address.
    """
    buckets = [throttle.account_bucket(names.key(name)), throttle.address_bucket("password")]
    throttle.charge(buckets, throttle.PASSWORD_TRIES)
    user = find(name)
    db.session.rollback()  # hashing takes long; nobody should wait for this connection meanwhile
    account, stored = (Account(user.id, user.name), user.password_hash) if user else (None, None)
    if not passwords.verify(password, stored) or account is None or stored is None:
        return None
    throttle.refund(buckets, throttle.PASSWORD_TRIES)
    if passwords.outdated(stored):
        _set_hash(account.id, passwords.hash_password(password))
    return account


def find(name: str) -> User | None:
    """Return the account that a name, in any spelling, belongs to."""
    if not names.allowed(names.clean(name)):
        return None
    return db.session.scalar(sa.select(User).where(User.name_key == names.key(name)))


def set_password(user_id: int, password: str) -> None:
    """Change the password and sign out every browser."""
    password_hash = passwords.hash_password(password)
    with transaction() as session:
        session.execute(sa.update(User).where(User.id == user_id).values(password_hash=password_hash))
        session.execute(sa.delete(UserSession).where(UserSession.user_id == user_id))


def delete(user_id: int) -> None:
    """Delete the account with its searches, pictures, sessions and tokens."""
    with transaction() as session:
        _, files = drop(session, Search.user_id == user_id, Upload.user_id == user_id)
        session.execute(sa.delete(User).where(User.id == user_id))
    storage.remove(files)


def adopt(user_id: int, visitor: Owner) -> None:
    """Give an account the searches that its browser made before there was one."""
    with transaction() as session:
        for table in (Search, Upload):
            mine = sa.update(table).where(table.owned_by(visitor))
            session.execute(mine.values(user_id=user_id, visitor=None))


def _set_hash(user_id: int, password_hash: str) -> None:
    with transaction() as session:
        session.execute(sa.update(User).where(User.id == user_id).values(password_hash=password_hash))
