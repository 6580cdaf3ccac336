"""What a gallery says about itself: ``ATTRIBUTION.txt`` and ``SAMPLES.txt`` beside its pictures.

Read by indexing and the catalogue, written by the demo gallery and downloads; standard library alone.
"""

from __future__ import annotations

from pathlib import Path

from gallery.errors import StoreError
from gallery.folders import open_below

ATTRIBUTION_FILE = "ATTRIBUTION.txt"
"""Authors and licence of the pictures; the site shows this text on every page."""

SAMPLES_FILE = "SAMPLES.txt"
"""Example queries that the home page offers, one relative path a line."""

DEMO_MARKER = ".openmoji.json"
"""Written by `gallery.demo` beside the pictograms that it has drawn."""

ABOUT_FILES = frozenset({ATTRIBUTION_FILE, SAMPLES_FILE})
_MAX_BYTES = 64 * 1024


def read_attribution(root: Path) -> str:
    """Return the text of a gallery's ``ATTRIBUTION.txt``, or an empty string without one.

    Raises
    ------
    StoreError
        The file exists and cannot be read.
    """
    return _read(root / ATTRIBUTION_FILE)


def read_samples(root: Path) -> list[str]:
    """Return the relative paths in a gallery's ``SAMPLES.txt``.

    An unreadable list counts as empty, because the home page can choose examples itself.
    """
    try:
        lines = _read(root / SAMPLES_FILE).splitlines()
    except StoreError:
        return []
    return [line.strip() for line in lines if line.strip()]


def is_demo(root: Path) -> bool:
    """Return whether the folder is the demo gallery."""
    return (root / DEMO_MARKER).is_file()


def _read(path: Path) -> str:
    try:
        with open_below(path.parent, path.name) as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
