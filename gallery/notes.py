"""Texts that may lie beside the pictures in a gallery's folder."""

from __future__ import annotations

from pathlib import Path

from gallery.errors import StoreError

ATTRIBUTION = "ATTRIBUTION.txt"
"""Whose pictures these are; shown below every page."""

SAMPLES = "SAMPLES.txt"
"""Pictures that the home page offers to try with, one relative path a line."""

DEMO_MARKER = ".openmoji.json"
"""What `gallery.demo` leaves beside the pictograms that it has drawn."""

NOTES = frozenset({ATTRIBUTION, SAMPLES})
_MAX_BYTES = 64 * 1024


def attribution(root: Path) -> str:
    """Return the text of ``ATTRIBUTION.txt`` in the root, or an empty one.

    Raises
    ------
    StoreError
        The file is there and cannot be read.
    """
    return _read(root / ATTRIBUTION)


def samples(root: Path) -> list[str]:
    """Return the relative paths in ``SAMPLES.txt`` in the root.

    A list that cannot be read is no list: the page that asks then chooses for itself.
    """
    try:
        lines = _read(root / SAMPLES).splitlines()
    except StoreError:
        return []
    return [line.strip() for line in lines if line.strip()]


def is_demo(root: Path) -> bool:
    """Return whether the root holds the demo gallery."""
    return (root / DEMO_MARKER).is_file()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
