"""Create, change and delete accounts; called by `routes` and by `flask user`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app import throttle
from app.accounts import devices, names, passwords
from app.database import Owner, Search, Upload, User, UserSession
from app.extensions import db
from app.searches.deletion import drop
from app.transactions import transaction
from app.uploads import storage


class NameTakenError(Exception):
    """Another account has this name, or a name that looks the same."""


@dataclass(frozen=True, slots=True)
class Account:
    """The plain values of an account, readable outside its transaction."""

    id: int
    name: str


def create(name: str, password: str) -> Account:
    """Create an account; the caller has checked the name and the password.

    Raises
    ------
    NameTakenError
        Another account has this name, or a name that looks the same.
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
    """Return the account if the name and password are correct; unknown names take the same time.

    Strangers share the buckets of the account and of their address. A known device has its own bucket, so
    that strangers cannot lock the owner out.

    Raises
    ------
    app.errors.ThrottledError
        Too many attempts for this name or from this address.
    """
    user = find(name)
    account, stored = (Account(user.id, user.name), user.password_hash) if user else (None, None)
    db.session.rollback()  # hashing is slow: return the connection to the pool first
    device = devices.known_device(account.id, stored) if account and stored else None
    if device is not None:
        buckets = [throttle.device_bucket(device)]
    else:
        buckets = [throttle.account_bucket(names.key(name)), throttle.address_bucket("password")]
    if not _verified(password, stored, buckets) or account is None or stored is None:
        return None
    if passwords.outdated(stored):
        _set_hash(account.id, passwords.hash_password(password))
    return account


def confirm(user_id: int, session_id: int, password: str) -> bool:
    """Return whether this is the password of the account that is logged in with this session.

    Only attempts in the same session count against it: guesses by strangers do not keep the owner from
    changing the password.

    Raises
    ------
    app.errors.ThrottledError
        Too many attempts in this session.
    """
    stored = db.session.scalar(sa.select(User.password_hash).where(User.id == user_id))
    db.session.rollback()
    return _verified(password, stored, [throttle.session_bucket(session_id)])


def _verified(password: str, stored: str | None, buckets: list[str]) -> bool:
    """Check a password; an attempt counts in the buckets unless it is correct."""
    throttle.charge(buckets, throttle.PASSWORD_TRIES)
    if not passwords.verify(password, stored):
        return False
    throttle.refund(buckets, throttle.PASSWORD_TRIES)
    return True


def find(name: str) -> User | None:
    """Return the account with this name, in any spelling."""
    if not names.allowed(names.clean(name)):
        return None
    return db.session.scalar(sa.select(User).where(User.name_key == names.key(name)))


def set_password(user_id: int, password: str) -> None:
    """Change the password and log out every browser."""
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
    """Transfer the searches that a browser made before it had an account."""
    with transaction() as session:
        for table in (Search, Upload):
            update = sa.update(table).where(table.owned_by(visitor))
            session.execute(update.values(user_id=user_id, visitor=None))


def _set_hash(user_id: int, password_hash: str) -> None:
    with transaction() as session:
        session.execute(sa.update(User).where(User.id == user_id).values(password_hash=password_hash))
