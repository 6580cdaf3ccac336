"""Lists of things and of what fits them: ``everyday.txt`` and ``things.txt``."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal


def read_list(name: Literal["everyday", "things"]) -> list[tuple[str, list[str]]]:
    """Read a list: each thing's class, and patterns of the names that fit."""
    text = Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")
    fields = (line.split("|") for line in text.splitlines() if line[:1] != "#")
    return [(thing.strip(), patterns.split()) for thing, patterns in fields]


def fitting(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return those of the names that one of the patterns fits."""
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
