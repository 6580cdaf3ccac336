"""Bring the pictures of a list: many servers at once, each of them gently."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests

from gallery.download.bounds import Bounds, Progress
from gallery.download.names import EXTENSIONS, stem_for
from gallery.download.report import Report
from gallery.download.spool import Spool
from gallery.download.urllist import Entry
from model.errors import DownloadError, PictureError
from model.pictures import open_rgb, probe
from model.transfer import Limits, download, web

_DECODING = 2  # pictures decoded at once: a large one takes 300 MB


def fetch_all(
    entries: Sequence[Entry], spool: Spool, bounds: Bounds, report: Report, progress: Progress
) -> None:
    """Bring every picture that is not there yet.

    Names are made from the addresses, so that a rerun knows what is there by the files alone. A picture
    counts only once it has been decoded: a page served as JPEG, or a picture cut off, is a failure.

    Parameters
    ----------
    entries : sequence of Entry
        Addresses, each once.
    spool : Spool
        Where unfinished files lie; its root takes the pictures.
    bounds : Bounds
    report : Report
        Filled in place.
    progress : callable
        Called as ``progress(settled, total)``.

    Raises
    ------
    DownloadError
        The disk is full or fails.
    """
    hosts = _missing_by_host(entries, spool.root, report)
    fetcher = _Fetcher(spool, bounds, report, progress, len(entries) + len(report.failed))
    lanes = [host for host in hosts.values() for _ in range(min(bounds.per_host, len(host.waiting)))]
    with ThreadPoolExecutor(bounds.workers, thread_name_prefix="fetch") as pool:
        try:
            for lane in as_completed([pool.submit(fetcher.drain, host) for host in lanes]):
                lane.result()
        except BaseException:
            fetcher.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Host:
    """One server's pictures that are still to come, and how long it has wasted our time."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Entry, str]] = deque()
        self.wasted = 0.0


def _missing_by_host(entries: Sequence[Entry], root: Path, report: Report) -> dict[str, _Host]:
    there = {path.stem for path in root.iterdir() if path.suffix in EXTENSIONS.values()}
    hosts: dict[str, _Host] = defaultdict(_Host)
    for entry in entries:
        stem = stem_for(*entry)
        if stem in there:
            report.present += 1
        else:
            hosts[urlsplit(entry.url).netloc].waiting.append((entry, stem))
    return hosts


class _Stopped(Exception):  # noqa: N818 - no error: the user has had enough, or another lane met one
    """Leave off at once."""


class _Refused(Exception):  # noqa: N818
    """One picture is not to be had; the message says why."""


class _Fetcher:
    """What the lanes share."""

    def __init__(self, spool: Spool, bounds: Bounds, report: Report, progress: Progress, total: int) -> None:
        self._spool = spool
        self._bounds = bounds
        self._report = report
        self._progress = progress
        self._total = total
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(_DECODING)
        self._stopping = threading.Event()
        self._limits = Limits(
            max_bytes=bounds.max_bytes,
            max_seconds=bounds.picture_seconds,
            attempts=bounds.attempts,
            read_timeout=bounds.read_timeout,
        )

    def stop(self) -> None:
        self._stopping.set()

    def drain(self, host: _Host) -> None:
        """Fetch one server's pictures in turn over one connection; several lanes may share a host."""
        with web.new_session() as session:
            while not self._stopping.is_set():
                try:
                    entry, stem = host.waiting.popleft()
                except IndexError:
                    return
                self._spool.check_room()
                begun = time.monotonic()
                reason, size = self._one(entry, stem, host, session)
                host.wasted = host.wasted + time.monotonic() - begun if reason else 0.0
                self._settle(entry, reason, size)
                if host.waiting:
                    self._stopping.wait(self._bounds.delay)

    def _one(self, entry: Entry, stem: str, host: _Host, session: requests.Session) -> tuple[str, int]:
        """Fetch one picture; returns why it was not had, empty if it was, and its bytes."""
        if self._report.bytes >= self._bounds.max_total:
            return f"not asked for: {self._bounds.max_total:,} bytes have come in, which is the bound", 0
        if host.wasted >= self._bounds.host_patience:
            return "not asked for: its server has given nothing for too long", 0
        unfinished = self._spool.path(stem)
        try:
            kind = self._bring(entry.url, unfinished, session)
            size = unfinished.stat().st_size
            return self._spool.place(unfinished, PurePosixPath(stem + EXTENSIONS[kind])) or "", size
        except _Stopped:
            return "not finished: stopped", 0
        except _Refused as error:
            return str(error), 0
        finally:
            unfinished.unlink(missing_ok=True)

    def _bring(self, url: str, unfinished: Path, session: requests.Session) -> str:
        """Download and decode one picture; returns its format."""
        try:
            download(url, unfinished, limits=self._limits, progress=self._check, session=session)
            with self._decoding:
                # To the end, since a length that was never announced cannot tell that the end is missing.
                open_rgb(unfinished, short_side=64)
                return probe(unfinished).format
        except PictureError as error:
            raise _Refused(f"{error.code}: {error}") from error
        except DownloadError as error:
            raise _Refused(str(error).removeprefix(f"{url}: ")) from error

    def _check(self, done: int, total: int | None) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _settle(self, entry: Entry, reason: str, size: int) -> None:
        with self._lock:
            if reason:
                self._report.fail(entry.url, reason)
            else:
                self._report.written += 1
                self._report.bytes += size
            self._progress(self._report.done, self._total)
