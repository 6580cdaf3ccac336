"""Features of pictures that have left the gallery, kept for a while in case the pictures come back.

Called by `gallery.indexing`, under the lock of the index. Imports `gallery.featurelog` and NumPy.

::

    <index>/removed/2031-05-17.features     those that left on that day (UTC)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery.closable import Closable
from gallery.featurelog import FeatureLog
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo

KEEP_DAYS = 30
MAX_BYTES = 1 << 30
_FOLDER = "removed"
_SUFFIX = ".features"

log = logging.getLogger(__name__)


class RemovedFeatures(Closable):
    """The features of one encoder whose pictures left in the last `KEEP_DAYS` days.

    Older files are removed, and the oldest ones as long as all together exceed `MAX_BYTES`. Features of
    another encoder are discarded.

    Parameters
    ----------
    index_dir : Path
        The index.
    fingerprint : Fingerprint
        Of the encoder.
    today : date, optional
        The current day in UTC by default.
    """

    def __init__(self, index_dir: Path, fingerprint: Fingerprint, today: date | None = None) -> None:
        self._folder = index_dir / _FOLDER
        self._fingerprint = fingerprint
        self._today = today or datetime.now(UTC).date()
        with ExitStack() as stack:
            self._logs = {
                day: stack.enter_context(FeatureLog(path, fingerprint))
                for day, path in self._recent().items()
            }
            self._open = stack.pop_all()

    def info(self, sha256: str) -> PictureInfo | None:
        """Return format and size of a picture whose feature is kept, else None."""
        return next((info for each in self._logs.values() if (info := each.info(sha256))), None)

    def features(self, sha256s: list[str]) -> NDArray[np.float32]:
        """Return features that are kept, float32, shape (n, D).

        Raises
        ------
        KeyError
            One of them is not kept.
        """
        found = np.empty((len(sha256s), self._fingerprint.dim), np.float32)
        missing = dict(enumerate(sha256s))
        for each in self._logs.values():
            here = [row for row, sha256 in missing.items() if each.info(sha256)]
            if here:
                found[here] = each.features([missing.pop(row) for row in here])
        if missing:
            raise KeyError(next(iter(missing.values())))
        return found

    def keep(self, pictures: Iterable[tuple[str, PictureInfo, NDArray[np.float32]]]) -> None:
        """Keep features, each with its picture's SHA-256, format and size.

        A full disk is logged and no error: the new generation is complete without them.
        """
        try:
            for sha256, info, feature in pictures:
                today = self._log_of_today()
                if today.info(sha256) is None:
                    today.append(sha256, info, feature)
            for each in self._logs.values():
                each.flush()
            self._recent()
        except OSError as error:
            log.warning("features of removed pictures are not kept: %s", error.strerror or error)

    def close(self) -> None:
        """Close the files."""
        self._open.close()

    def _log_of_today(self) -> FeatureLog:
        if self._today not in self._logs:
            path = self._folder / f"{self._today.isoformat()}{_SUFFIX}"
            self._logs[self._today] = self._open.enter_context(FeatureLog(path, self._fingerprint))
        return self._logs[self._today]

    def _recent(self) -> dict[date, Path]:
        """Remove files that are too old or too many, and return the others by day, the newest first."""
        kept, size = {}, 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}"), reverse=True):
            try:
                day = date.fromisoformat(path.stem)
            except ValueError:
                continue
            size += path.stat().st_size
            if self._today - day > timedelta(KEEP_DAYS) or size > MAX_BYTES:
                path.unlink()
            else:
                kept[day] = path
        return kept
