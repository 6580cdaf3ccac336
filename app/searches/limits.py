"""Limits of what owners may start and store, checked by `service` before a search is accepted.

A visitor is known by a cookie alone and can drop it. So visitors are limited by address too, may fill only a
part of the queue, and share one quota of disk space. Accounts have the rest of the queue, and a quota each.
"""

from __future__ import annotations

import sqlalchemy as sa
from flask import has_request_context
from sqlalchemy.orm import Session

from app import throttle
from app.context import settings
from app.database import PENDING, Owner, Search, Upload
from app.errors import RefusalError, ThrottledError
from app.messages import message

OWNER_RETRY_AFTER, QUEUE_RETRY_AFTER, STORAGE_RETRY_AFTER = 10, 30, 3600  # seconds


def check_queue(session: Session, owner: Owner) -> None:
    """Refuse a search that the queue has no place for.

    Raises
    ------
    RefusalError
        Too many searches are waiting: of all, of visitors, or of this owner.
    """
    pending = sa.select(sa.func.count()).where(Search.status.in_(PENDING))
    most = settings().max_queue
    full = (session.scalar(pending) or 0) >= most
    if not full and owner.visitor is not None:
        share = max(1, most * settings().visitor_share // 100)
        full = (session.scalar(pending.where(Search.visitor.is_not(None))) or 0) >= share
    if full:
        raise RefusalError("queue_full", message("queue_full"), 503, QUEUE_RETRY_AFTER)
    if (session.scalar(pending.where(Search.owned_by(owner))) or 0) >= settings().max_pending_per_owner:
        raise RefusalError("too_many_pending", message("too_many_pending"), 429, OWNER_RETRY_AFTER)


def check_storage(session: Session, owner: Owner) -> None:
    """Refuse a picture when the owner's quota, or that of all visitors, is used up.

    Uploads that arrive together may exceed a quota by one picture for each thread.

    Raises
    ------
    RefusalError
        There is no space left in the quota.
    """
    visitors = owner.visitor is not None
    owned = Upload.visitor.is_not(None) if visitors else Upload.owned_by(owner)
    quota = settings().visitor_storage_mb if visitors else settings().account_storage_mb
    if (session.scalar(sa.select(sa.func.sum(Upload.size)).where(owned)) or 0) < quota * 2**20:
        return
    if visitors:
        code, status, retry_after = "visitor_storage_full", 503, STORAGE_RETRY_AFTER
    else:
        code, status, retry_after = "storage_full", 403, None
    raise RefusalError(code, message(code), status, retry_after)


def charge_address(owner: Owner) -> None:
    """Count one search of a visitor against the address that it comes from.

    Raises
    ------
    RefusalError
        The address has started too many searches.
    """
    if owner.visitor is None or not has_request_context():  # commands have no address
        return
    each_minute = settings().visitor_searches_per_minute
    try:
        throttle.charge([throttle.address_bucket("search")], throttle.Limit(each_minute, 60.0 / each_minute))
    except ThrottledError as error:
        raise RefusalError("too_many_searches", message("too_many_searches"), 429, error.wait) from error
