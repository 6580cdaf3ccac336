"""Download the pictures of a list: many servers at once, few connections and pauses for each of them.

Called by `gallery.download.download`.
"""

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
    """Download every picture that is missing.

    File names are derived from the addresses, so that a second run recognises the files that exist. Every
    picture is decoded: a web page served as JPEG or a truncated picture is a failure.

    Parameters
    ----------
    entries : sequence of Entry
        Different addresses.
    spool : Spool
        Folder of unfinished files; its root receives the pictures.
    bounds : Bounds
        Limits of size, number and time.
    report : Report
        Filled in place.
    progress : callable
        Called as ``progress(done, total)``.

    Raises
    ------
    DownloadError
        The disk is full, or cannot be written.
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
    """One server's remaining pictures, and the seconds of unsuccessful attempts since its last success."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Entry, str]] = deque()
        self.wasted = 0.0


def _missing_by_host(entries: Sequence[Entry], root: Path, report: Report) -> dict[str, _Host]:
    present = {path.stem for path in root.iterdir() if path.suffix in EXTENSIONS.values()}
    hosts: dict[str, _Host] = defaultdict(_Host)
    for entry in entries:
        stem = stem_for(*entry)
        if stem in present:
            report.present += 1
        else:
            hosts[urlsplit(entry.url).netloc].waiting.append((entry, stem))
    return hosts


class _Stopped(Exception):  # noqa: N818 - not an error: the user, or an error elsewhere, has ended the run
    """The download is to end at once."""


class _Failed(Exception):  # noqa: N818
    """One picture cannot be downloaded; the message is the reason."""


class _Fetcher:
    """State that the connections share."""

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
        """Download a server's pictures one by one over one connection; several threads may share a host."""
        with web.new_session() as session:
            while not self._stopping.is_set():
                try:
                    entry, stem = host.waiting.popleft()
                except IndexError:
                    return
                self._spool.check_free_space()
                begun = time.monotonic()
                reason, size = self._download(entry, stem, host, session)
                host.wasted = host.wasted + time.monotonic() - begun if reason else 0.0
                self._record(entry, reason, size)
                if host.waiting:
                    self._stopping.wait(self._bounds.delay)

    def _download(self, entry: Entry, stem: str, host: _Host, session: requests.Session) -> tuple[str, int]:
        """Download one picture; return the reason of a failure, else an empty string, and its bytes."""
        if self._report.bytes >= self._bounds.max_total:
            return f"not requested: the limit of {self._bounds.max_total:,} bytes is reached", 0
        if host.wasted >= self._bounds.host_patience:
            return "not requested: its server has delivered nothing for too long", 0
        unfinished = self._spool.path(stem)
        try:
            kind = self._fetch(entry.url, unfinished, session)
            size = unfinished.stat().st_size
            return self._spool.place(unfinished, PurePosixPath(stem + EXTENSIONS[kind])) or "", size
        except _Stopped:
            return "not finished: stopped", 0
        except _Failed as error:
            return str(error), 0
        finally:
            unfinished.unlink(missing_ok=True)

    def _fetch(self, url: str, unfinished: Path, session: requests.Session) -> str:
        """Download and decode one picture; return its format."""
        try:
            download(url, unfinished, limits=self._limits, progress=self._check, session=session)
            with self._decoding:
                # Decoded completely: without a Content-Length, only decoding shows that the end is missing.
                open_rgb(unfinished, short_side=64)
                return probe(unfinished).format
        except PictureError as error:
            raise _Failed(f"{error.code}: {error}") from error
        except DownloadError as error:
            raise _Failed(str(error).removeprefix(f"{url}: ")) from error

    def _check(self, done: int, total: int | None) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _record(self, entry: Entry, reason: str, size: int) -> None:
        with self._lock:
            if reason:
                self._report.fail(entry.url, reason)
            else:
                self._report.written += 1
                self._report.bytes += size
            self._progress(self._report.done, self._total)
