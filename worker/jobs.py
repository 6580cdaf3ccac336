"""The only job of the queue: carry out a search."""

from __future__ import annotations

import io
import logging
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.database import SearchKind, SearchStage
from app.errors import DISK_ERRORS
from app.uploads import storage
from model import pictures
from model.errors import PictureError, VitrineError
from model.pictures import copies
from worker import attempts, outages
from worker.limits import Overrun
from worker.runtime import Runtime, current

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from gallery import Store

TOP = 10
LEASE_SECONDS = 10.0
PREVIEW_SIDE = 1280  # pixels; sharp on a large screen, and large enough for every model

log = logging.getLogger(__name__)


class Query(NamedTuple):
    """A query's vector, the items to exclude, and the feature and preview to store."""

    vector: NDArray[np.float32]
    exclude: tuple[str, ...] = ()
    features: bytes | None = None
    preview: bytes | None = None


def run_search(search_id: str) -> None:
    """Carry out one search and write its outcome to its row.

    If the database is unavailable or the disk is full, the search returns to the queue and the attempt does
    not count. If not even that can be written, the worker does it when the database is back.

    Parameters
    ----------
    search_id : str
        The row's id. Nothing is done if the row was deleted, is running already or has ended.
    """
    runtime = current()
    with runtime.app.app_context():
        try:
            _claim_and_search(runtime, search_id)
        except (OperationalError, PoolTimeoutError, OSError) as error:
            log.warning("search postponed", extra={"search": search_id, "error": type(error).__name__})
            if outages.is_outage(error) and not _give_back(runtime, search_id):
                return  # the slot keeps the attempt
        runtime.slot.release()


def _give_back(runtime: Runtime, search_id: str) -> bool:
    """Return the search to the queue after an outage; return False if that cannot be written either."""
    runtime.slot.report_outage()
    number = runtime.slot.held()
    if number is None:
        return True  # the outage prevented the claim
    try:
        attempts.give_back(attempts.Attempt(uuid.UUID(search_id), number, LEASE_SECONDS))
    except (OperationalError, PoolTimeoutError):
        return False
    return True


def _claim_and_search(runtime: Runtime, search_id: str) -> None:
    claim = attempts.claim(uuid.UUID(search_id), LEASE_SECONDS)
    if claim is None:
        log.info("search is not queued", extra={"search": search_id})
        return
    runtime.slot.hold(claim.attempt)
    if code := _search_or_error(runtime, claim):
        log.warning("search failed", extra={"search": search_id, "attempt": claim.attempt, "code": code})
        attempts.fail(claim, code)


def _search_or_error(runtime: Runtime, claim: attempts.Claim) -> str | None:
    """Search; return an error code if that fails, and raise errors that may pass by themselves."""
    try:
        _search(runtime, claim)
    except PictureError as error:
        # Empty and too large files were refused at upload; here they mean that the disk lost the content.
        return error.code if error.code in attempts.PICTURE_CODES else "broken"
    except VitrineError as error:
        return error.code
    except Overrun:
        return "timeout"
    except MemoryError:
        return "out_of_memory"
    except Exception as error:
        if _is_transient(error):
            raise
        if not attempts.renew(claim):
            return None  # deleted in the meantime, together with its picture
        log.exception("search raised an unexpected error", extra={"search": str(claim.search_id)})
        return "internal"
    return None


def _is_transient(error: Exception) -> bool:
    """Return whether the cause lies outside the search: database unavailable or locked, disk full."""
    from_database = isinstance(error, OperationalError | PoolTimeoutError)
    return from_database or (isinstance(error, OSError) and error.errno in DISK_ERRORS)


def _search(runtime: Runtime, claim: attempts.Claim) -> None:
    began = time.perf_counter()
    store = runtime.store
    query = _of_item(claim, store) if claim.kind is SearchKind.ITEM else _of_picture(runtime, claim, store)
    if not attempts.set_stage(claim, SearchStage.COMPARING):
        log.info("claim no longer holds", extra={"search": str(claim.search_id)})
        return
    found = store.search(query.vector, TOP, exclude=query.exclude)
    seconds = time.perf_counter() - began
    done = attempts.finish(
        claim,
        [
            attempts.Hit(item.id, item.name, item.path, item.sha256, item.width, item.height, score)
            for item, score in found
        ],
        seconds=seconds,
        searched=len(store.catalog),
        generation=store.generation,
        model=runtime.settings.model,
        features=query.features,
        fingerprint=store.fingerprint.as_dict(),
        preview=storage.save_preview(io.BytesIO(query.preview)) if query.preview else None,
    )
    log.info(
        "search ended", extra={"search": str(claim.search_id), "done": done, "seconds": round(seconds, 3)}
    )


def _of_item(claim: attempts.Claim, store: Store) -> Query:
    assert claim.query_item is not None  # noqa: S101 - a database constraint for searches of this kind
    return Query(store.feature(claim.query_item), exclude=(claim.query_item,))


def _of_picture(runtime: Runtime, claim: attempts.Claim, store: Store) -> Query:
    known = _known_features(claim, store)
    if known is not None and not claim.needs_preview:
        return Query(known)
    encoder, path = runtime.encoder, claim.picture
    try:
        if path is None:
            raise PictureError("broken", "the picture has been removed")
        image = encoder.decode(path)
        vector = encoder.encode([image])[0] if known is None else known
        preview = _preview(path, image) if claim.needs_preview else None
    except FileNotFoundError as error:
        raise PictureError("broken", "the picture's file is gone") from error
    return Query(vector, features=vector.astype("<f4").tobytes(), preview=preview)


def _preview(path: Path, image: Image) -> bytes:
    """Return a JPEG preview; decode the file again if `image` was reduced too far on decoding."""
    small = max(image.size) < PREVIEW_SIDE and pictures.probe(path)[1:] != image.size
    return copies.jpeg(pictures.open_rgb(path, short_side=PREVIEW_SIDE) if small else image, PREVIEW_SIDE)


def _known_features(claim: attempts.Claim, store: Store) -> NDArray[np.float32] | None:
    """Return the picture's feature from an earlier search if it matches the index's fingerprint."""
    if claim.features is None or claim.fingerprint != store.fingerprint.as_dict():
        return None
    features = np.frombuffer(claim.features, "<f4")
    return features if features.shape == (store.fingerprint.dim,) else None
