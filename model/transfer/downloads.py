"""Download a file: resumed after an interruption, checked before it gets its name, within limits.

`download` is the entry point. `model.transfer.partfile` keeps the bytes, `model.transfer.web` sends requests.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from model.errors import DownloadError
from model.transfer import web
from model.transfer.partfile import Check, PartFile, part_file

Progress = Callable[[int, int | None], None]
"""Called with the bytes on disk and the bytes of the whole file, None if unknown."""

_CHUNK = 1 << 18
_WORTHWHILE = 1 << 20  # bytes that make an attempt count as progress
_MAX_PAUSE = 30.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a download in size and time.

    Attributes
    ----------
    max_bytes : int
        Larger files are refused, if possible before they are downloaded.
    max_seconds : float
        For one file, all attempts at all addresses together.
    attempts : int
        Attempts at one address in a row that bring less than a megabyte each.
    pause : float
        Seconds before the second attempt. Doubled after each attempt, and randomised so that many clients do
        not retry at the same moment.
    connect_timeout, read_timeout : float
        Seconds to wait for a connection, and between two arrivals of data.
    """

    max_bytes: int = 16 << 30
    max_seconds: float = 12 * 3600.0
    attempts: int = 4
    pause: float = 0.5
    connect_timeout: float = 10.0
    read_timeout: float = 30.0


def download(
    urls: str | Sequence[str],
    destination: Path,
    *,
    sha256: str = "",
    md5: str = "",
    size: int | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    session: requests.Session | None = None,
) -> Path:
    """Download a file from the first of `urls` that has it.

    Bytes are written to ``<destination>.part``. Those of an earlier run are completed with a range request,
    if a checksum or the server (``If-Range``) confirms that they belong to the same file.

    Parameters
    ----------
    urls : str or sequence of str
        http or https addresses of the same file, best first.
    destination : Path
        Its folder is created if missing. An existing file with the right checksum is kept.
    sha256, md5 : str, optional
        Expected checksum in hexadecimal digits. A file with another checksum is never renamed to
        `destination`.
    size : int, optional
        Expected size in bytes.
    limits : Limits, optional
        Limits of size and time.
    progress : callable, optional
        Called as ``progress(done, total)`` while data arrives.
    session : requests.Session, optional
        Keeps connections open across several downloads.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    DownloadError
        No address has the file, or the disk is full. The message says why in one line, and how to download
        the file by hand if a checksum is known.
    """
    check = Check("sha256", sha256, size) if sha256 else Check("md5", md5, size)
    if check.digest and destination.is_file() and check.fault(destination) is None:
        return destination
    reasons = []
    with contextlib.ExitStack() as stack:
        part = stack.enter_context(part_file(destination, check))
        session = session or stack.enter_context(web.new_session())
        transfer = _Transfer(part, size, limits or Limits(), progress, session)
        for url in [urls] if isinstance(urls, str) else urls:
            try:
                transfer.fetch(url)
            except _GiveUp as error:
                reasons.append(f"{url}: {error}")
            else:
                return destination
    hint = f" You can download the file by hand: save it as {destination} and run the command again."
    raise DownloadError("; ".join(reasons) + "." + (hint if check.digest else ""))


class _Retry(Exception):  # noqa: N818 - a control flow exception, like StopIteration
    """Try the same address again, after at least this many seconds."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class _GiveUp(Exception):  # noqa: N818
    """Try the next address."""


class _Transfer:
    """The download of one file, over all attempts and addresses."""

    def __init__(
        self,
        part: PartFile,
        size: int | None,
        limits: Limits,
        progress: Progress | None,
        session: requests.Session,
    ) -> None:
        self._part = part
        self._size = size
        self._limits = limits
        self._progress = progress or (lambda done, total: None)
        self._session = session
        self._deadline = time.monotonic() + limits.max_seconds
        self._pieced = part.size > 0  # from several responses, possibly of several versions of the file

    def fetch(self, url: str) -> None:
        failures = 0
        while True:
            before = self._part.size
            try:
                if not (self._size and self._part.size == self._size):
                    self._attempt(url)
                return self._finish()
            except _Retry as error:
                failures = failures + 1 if self._part.size - before < _WORTHWHILE else 1
                if failures >= self._limits.attempts:
                    attempts = "1 attempt" if failures == 1 else f"{failures} attempts"
                    raise _GiveUp(f"{error} ({attempts})") from error
                self._wait(failures, error.after)

    def _finish(self) -> None:
        fault = self._part.finish()
        if fault is None:
            return
        self._part.clear()
        pieced, self._pieced = self._pieced, False
        raise _Retry(fault) if pieced else _GiveUp(fault)

    def _attempt(self, url: str) -> None:
        if not self._part.can_resume(url):
            self._part.clear()
        have = self._part.size
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and self._part.validator and self._part.url == url:
            headers["If-Range"] = self._part.validator
        timeout = (self._limits.connect_timeout, self._limits.read_timeout)
        try:
            with web.get(self._session, url, headers, timeout) as response:
                if not self._is_complete(response):
                    self._receive(response, self._begin(url, response))
        except web.NETWORK_ERRORS as error:
            kind = _GiveUp if web.is_hopeless(error) else _Retry
            raise kind(web.reason(error)) from error

    def _is_complete(self, response: requests.Response) -> bool:
        """Return whether the part is the whole file; 416 may also mean that the server's differs."""
        if response.status_code != 416:
            return False
        if response.headers.get("Content-Range", "") == f"bytes */{self._part.size}":
            return True
        self._part.clear()
        raise _Retry("the server has no more bytes of the file begun here")

    def _begin(self, url: str, response: requests.Response) -> int | None:
        """Check the response's status and headers, and return the length of the whole file if it is given."""
        _check_status(response)
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        if response.status_code == 206:
            start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if start is None or int(start[1]) != self._part.size:
                self._part.clear()
                raise _Retry("the server sent another range than requested")
            self._pieced = True
            total = None if total is None else total + self._part.size
        else:
            self._part.clear()
            self._pieced = False
        if self._size and total and total != self._size:
            raise _GiveUp(f"the server announces {total:,} bytes; the file should have {self._size:,}")
        self._check_size(total or 0)
        self._part.check_disk((total or 0) - self._part.size)
        self._part.url, self._part.validator = url, _validator(response)
        return total

    def _receive(self, response: requests.Response, total: int | None) -> None:
        # read1 returns what has arrived, so that a slow server cannot hold us past the deadline.
        while data := response.raw.read1(_CHUNK):
            self._part.append(data)
            self._check_size(self._part.size)
            self._check_time()
            self._progress(self._part.size, total)
        if total is not None and self._part.size < total:
            raise _Retry(f"the connection broke off after {self._part.size:,} of {total:,} bytes")

    def _check_size(self, size: int) -> None:
        bound = self._size or self._limits.max_bytes
        if size > bound:
            self._part.clear()
            raise _GiveUp(f"the file is larger than the {bound:,} bytes allowed")

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise _GiveUp(f"not finished after {self._limits.max_seconds:,.0f} s")

    def _wait(self, failures: int, after: float) -> None:
        pause = self._limits.pause * 2 ** (failures - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        time.sleep(min(max(pause, after), _MAX_PAUSE, max(0.0, self._deadline - time.monotonic())))
        self._check_time()


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    reason = f"the server answered {status} {response.reason or ''}".rstrip()
    if status not in _RETRIED:
        raise _GiveUp(reason)
    after = response.headers.get("Retry-After", "")
    raise _Retry(reason, float(after) if after.isdigit() else 0.0)


def _validator(response: requests.Response) -> str:
    """Return a value for ``If-Range``: a strong ETag, else the date of the last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
