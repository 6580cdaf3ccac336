"""Lists of picture addresses: CSV, TSV, or one address a line."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from gallery.download.report import Report
from model.errors import DownloadError

_ADDRESS_COLUMNS = ("url", "image_url", "imageurl", "link", "image", "src")
_NAME_COLUMNS = ("name", "title", "filename", "file_name", "label")
_LOOK_AHEAD = 50


class Entry(NamedTuple):
    """One picture of a list: its address, and its name where the list gives one."""

    url: str
    name: str


def read_list(path: Path, max_entries: int, report: Report) -> list[Entry]:
    """Read the addresses from a list; each address once, in order.

    The address is in the column called ``url`` (or ``image_url``, ``link`` ...), else in the first column
    that holds addresses; a column called ``name`` (or ``title`` ...) names the pictures.

    Parameters
    ----------
    path : Path
        UTF-8, with commas, semicolons or tabs between the columns; a ``.txt`` has one address a line.
    max_entries : int
        A longer list is refused.
    report : Report
        Lines without an address are noted in it.

    Raises
    ------
    DownloadError
        No addresses, too many, or not a table of text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            if path.suffix.lower() == ".txt":
                return _read(([line.strip()] for line in file), path, max_entries, report)
            first = file.readline(4096)
            file.seek(0)
            # The separator is what the first line has most of: addresses hold commas now and then.
            rows = csv.reader(file, delimiter=max(",;\t", key=first.count))
            return _read(rows, path, max_entries, report)
    except csv.Error as error:
        raise DownloadError(f"{path} is not a table of text: {error}.") from error
    except OSError as error:
        raise DownloadError(f"{path} cannot be read: {error.strerror}.") from error


def _read(rows: Iterable[list[str]], path: Path, max_entries: int, report: Report) -> list[Entry]:
    numbered = enumerate(rows, 1)
    first = [row for _, row in zip(range(_LOOK_AHEAD), numbered, strict=False)]
    url_column, name_column = _columns([row for _, row in first], path)
    entries: dict[str, Entry] = {}
    for number, row in [*first, *numbered]:
        url = row[url_column].strip() if len(row) > url_column else ""
        if _is_address(url):
            name = row[name_column].strip() if name_column is not None and len(row) > name_column else ""
            entries.setdefault(url, Entry(url, name))
        elif number > 1 and any(row):
            report.fail(f"line {number}", "no http or https address")
        if len(entries) > max_entries:
            raise DownloadError(f"{path} lists more than the {max_entries:,} pictures allowed.")
    return list(entries.values())


def _columns(rows: list[list[str]], path: Path) -> tuple[int, int | None]:
    """Find the columns of address and name, from the first row's titles or else from what the rows hold."""
    titles = [cell.strip().lower() for cell in rows[0]] if rows else []
    name = next((titles.index(title) for title in _NAME_COLUMNS if title in titles), None)
    by_title = [titles.index(title) for title in _ADDRESS_COLUMNS if title in titles]
    by_content = [at for row in rows for at, cell in enumerate(row) if _is_address(cell.strip())]
    for column in [*by_title, *by_content]:
        if column in by_content:
            return column, name
    raise DownloadError(f"{path} holds no http or https address in its first {_LOOK_AHEAD} lines.")


def _is_address(cell: str) -> bool:
    try:
        parts = urlsplit(cell)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # "http://[", a half of an IPv6 address
        return False
