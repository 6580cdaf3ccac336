"""The version of Vitrine, which `pyproject.toml` alone defines."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


@cache
def version() -> str:
    """Return the version, such as ``0.1.0``.

    It is read from the checkout that the program runs from: Vitrine is not installed, so the metadata of
    installed packages does not know it.
    """
    return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])
