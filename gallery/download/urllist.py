"""Read lists of picture addresses: CSV, TSV, or one address per line; called by `gallery.download`."""

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
    """A picture of a list: its address, and its name or an empty string."""

    url: str
    name: str


def read_list(path: Path, max_entries: int, report: Report) -> list[Entry]:
    """Return the different addresses of a list in their order.

    The address is in the column called ``url`` (or ``image_url``, ``link`` ...), else in the first column
    that holds addresses; a column called ``name`` (or ``title`` ...) names the pictures.

    Parameters
    ----------
    path : Path
        UTF-8, with commas, semicolons or tabs between the columns; a ``.txt`` has one address per line.
    max_entries : int
        Limit of the number of addresses.
    report : Report
        Lines without an address are added to its failures.

    Raises
    ------
    DownloadError
        The list has no addresses or too many, is not a table of text, or cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            if path.suffix.lower() == ".txt":
                return _read(([line.strip()] for line in file), path, max_entries, report)
            first = file.readline(4096)
            file.seek(0)
            # The most frequent candidate in the first line is the separator: addresses may contain commas.
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
            report.fail(f"line {number}", "not an http or https address")
        if len(entries) > max_entries:
            raise DownloadError(f"{path} lists more than {max_entries:,} pictures, the limit.")
    return list(entries.values())


def _columns(rows: list[list[str]], path: Path) -> tuple[int, int | None]:
    """Return the columns of address and name, by the first row's titles or else by the rows' contents."""
    titles = [cell.strip().lower() for cell in rows[0]] if rows else []
    name = next((titles.index(title) for title in _NAME_COLUMNS if title in titles), None)
    by_title = [titles.index(title) for title in _ADDRESS_COLUMNS if title in titles]
    by_content = [at for row in rows for at, cell in enumerate(row) if _is_address(cell.strip())]
    for column in [*by_title, *by_content]:
        if column in by_content:
            return column, name
    raise DownloadError(f"{path} contains no http or https address in its first {_LOOK_AHEAD} lines.")


def _is_address(cell: str) -> bool:
    try:
        parts = urlsplit(cell)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # "http://[", an incomplete IPv6 address
        return False
