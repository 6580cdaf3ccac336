"""Download photographs into a folder: from a list of addresses, an archive, or an open photo set by name.

Called by ``flask gallery download``. Lists and archives are untrusted: every size, path and picture is
checked. Imports `model.transfer` for HTTP.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from gallery.about import ATTRIBUTION_FILE
from gallery.download.archives import PICTURE_SUFFIXES, extract
from gallery.download.bounds import Bounds, Progress
from gallery.download.fetcher import fetch_all
from gallery.download.names import stem_for
from gallery.download.report import Failure, Report
from gallery.download.sources import PHOTO_SETS, PhotoSet, Source, find_source
from gallery.download.spool import Spool, open_spool
from gallery.download.urllist import read_list
from model import transfer

__all__ = ["PHOTO_SETS", "Bounds", "Failure", "PhotoSet", "Report", "download"]


def download(
    source: str,
    root: Path,
    *,
    bounds: Bounds | None = None,
    progress: Progress | None = None,
    byte_progress: transfer.Progress | None = None,
) -> Report:
    """Download pictures from `source` into the folder `root`; an interrupted download resumes.

    Parameters
    ----------
    source : str
        The name of a photo set (`PHOTO_SETS`), or a file or web address of an archive (``.zip``, ``.tar.gz``
        ...) or of a list of picture addresses (``.csv``, ``.tsv``, ``.txt``).
    root : Path
        Created if missing.
    bounds : Bounds, optional
        Limits of size, number and time.
    progress : callable, optional
        Called as ``progress(done, total or None)`` after each picture.
    byte_progress : callable, optional
        Called as ``byte_progress(done, total or None)`` while an archive or list is downloaded.

    Returns
    -------
    Report
        New and present pictures, and failed ones with the reason.

    Raises
    ------
    DownloadError
        The source cannot be downloaded or read, exceeds a bound, or the disk is full.
    IndexBusyError
        Another download into the same folder is running.
    """
    bounds = bounds or Bounds()
    progress = progress or (lambda done, total: None)
    found = find_source(source)
    report = Report()
    with open_spool(root) as spool:
        marker = spool.path(hashlib.sha256(source.encode()).hexdigest()[:16] + ".done")
        if found.kind == "list":
            path, temporary = _fetch_source(found, spool, bounds, byte_progress)
            entries = read_list(path, bounds.max_pictures, report)
            fetch_all(entries, spool, bounds, report, progress)
        elif (pictures := _finished(marker, spool.root)) is not None:
            report.present = pictures
            return report
        else:
            path, temporary = _fetch_source(found, spool, bounds, byte_progress)
            extract(path, spool, bounds, report, progress)
            marker.write_text(json.dumps({"source": source, "pictures": report.written + report.present}))
        if temporary:
            path.unlink()
        if found.attribution:
            (spool.root / ATTRIBUTION_FILE).write_text(found.attribution + "\n", encoding="utf-8")
    return report


def _fetch_source(
    source: Source, spool: Spool, bounds: Bounds, progress: transfer.Progress | None
) -> tuple[Path, bool]:
    """Return the archive or list as a file, and whether the file is to be deleted afterwards."""
    if isinstance(source.place, Path):
        return source.place, False
    url = source.place[0]
    suffixes = PurePosixPath(urlsplit(url).path).suffixes[-2:]
    path = spool.path(stem_for(url) + "".join(suffixes).lower())
    # An archive under its final name is complete, but was not unpacked to the end.
    if source.md5 or source.kind == "list" or not path.is_file():
        limits = transfer.Limits(
            max_bytes=bounds.max_total, attempts=bounds.attempts, read_timeout=bounds.read_timeout
        )
        transfer.download(source.place, path, md5=source.md5, limits=limits, progress=progress)
    return path, True


def _finished(marker: Path, root: Path) -> int | None:
    """Return how many pictures an earlier run extracted from this archive, if they are still there."""
    try:
        pictures = int(json.loads(marker.read_text())["pictures"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    present = sum(
        Path(name).suffix.lower() in PICTURE_SUFFIXES for _, _, names in os.walk(root) for name in names
    )
    return pictures if present >= pictures else None
