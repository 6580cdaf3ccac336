"""The one job there is: carry out a search."""

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
from worker import attempts
from worker.limits import Overrun
from worker.runtime import Runtime, current

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from gallery import Store

TOP = 10
LEASE_SECONDS = 10.0
PREVIEW_SIDE = 1280  # pixels; sharp on a large screen, and enough to encode again with any model

log = logging.getLogger(__name__)


class Query(NamedTuple):
    """What is searched with: a vector, what to leave out, and what to keep of the picture."""

    vector: NDArray[np.float32]
    exclude: tuple[str, ...] = ()
    features: bytes | None = None
    preview: bytes | None = None


def run_search(search_id: str) -> None:
    """Carry out one search and write its end into its row, whatever that end is.

    Where the database is away or the disk is full, nothing is written: the lease lapses, which makes a pause
    of some seconds, and the search is tried again.

    Parameters
    ----------
    search_id : str
        The row's id. Where the row is gone, runs already or has ended, nothing is done.
    """
    runtime = current()
    with runtime.app.app_context():
        try:
            _claim_and_search(runtime, search_id)
        except (OperationalError, PoolTimeoutError, OSError) as error:
            log.warning("search is put off", extra={"search": search_id, "error": type(error).__name__})
        runtime.slot.release()


def _claim_and_search(runtime: Runtime, search_id: str) -> None:
    claim = attempts.claim(uuid.UUID(search_id), LEASE_SECONDS)
    if claim is None:
        log.info("search is not waiting", extra={"search": search_id})
        return
    runtime.slot.hold(claim.attempt)
    if code := _attempt(runtime, claim):
        log.warning("search failed", extra={"search": search_id, "attempt": claim.attempt, "code": code})
        attempts.fail(claim, code)


def _attempt(runtime: Runtime, claim: attempts.Claim) -> str | None:
    """Search; return the error's code where that fails; raise what may pass by itself."""
    try:
        _search(runtime, claim)
    except (
        PictureError
    ) as error:  # an empty or too large file was refused when it came, unless the disk lost it
        return error.code if error.code in attempts.PICTURE_CODES else "broken"
    except VitrineError as error:
        return error.code
    except Overrun:
        return "timeout"
    except MemoryError:
        return "out_of_memory"
    except Exception as error:
        if _passes(error):
            raise
        if not attempts.renew(claim):
            return None  # deleted meanwhile, and its picture with it
        log.exception("search ended unexpectedly", extra={"search": str(claim.search_id)})
        return "internal"
    return None


def _passes(error: Exception) -> bool:
    """Whether the error is none of the search's: the database is away or held, the disk is full."""
    away = isinstance(error, OperationalError | PoolTimeoutError)
    return away or (isinstance(error, OSError) and error.errno in DISK_ERRORS)


def _search(runtime: Runtime, claim: attempts.Claim) -> None:
    began = time.perf_counter()
    store = runtime.store
    query = _of_item(claim, store) if claim.kind is SearchKind.ITEM else _of_picture(runtime, claim, store)
    if not attempts.set_stage(claim, SearchStage.COMPARING):
        log.info("search is ours no longer", extra={"search": str(claim.search_id)})
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
    assert claim.query_item is not None  # noqa: S101 - the database holds this for every search of this kind
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
    """Return a preview of the picture that was decoded, perhaps reduced too far for that, to `image`."""
    small = max(image.size) < PREVIEW_SIDE and pictures.probe(path)[1:] != image.size
    return copies.jpeg(pictures.open_rgb(path, short_side=PREVIEW_SIDE) if small else image, PREVIEW_SIDE)


def _known_features(claim: attempts.Claim, store: Store) -> NDArray[np.float32] | None:
    """Return what an earlier search computed of the same picture, if the index understands it."""
    if claim.features is None or claim.fingerprint != store.fingerprint.as_dict():
        return None
    features = np.frombuffer(claim.features, "<f4")
    return features if features.shape == (store.fingerprint.dim,) else None
