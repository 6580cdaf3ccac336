"""The rows of docs/reliability.md and the tests with their numbers in the name match."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from config import ROOT

ROWS = {*range(1, 55), *range(71, 75)}
PACKAGES = (ROOT / "tests" / "faults", ROOT / "tests" / "security")
LISTED = re.compile(r"^\| (\d+) \|.*\| `(test_\w+\.py)`", re.MULTILINE)


def numbered() -> Iterator[tuple[int, str]]:
    """Yield the number of a row and the file of one of its tests, for every such test."""
    for path in sorted(path for package in PACKAGES for path in package.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.name if isinstance(node, ast.FunctionDef) else ""
            for number in re.findall(r"row_(\d\d)", name):
                yield int(number), path.name


def test_every_row_has_a_test_of_its_number() -> None:
    assert {number for number, _ in numbered()} == ROWS


def test_the_list_names_for_each_row_a_file_that_has_its_test() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    listed = [(int(number), file) for number, file in LISTED.findall(text)]
    assert sorted(number for number, _ in listed) == sorted(ROWS)
    assert set(listed) <= set(numbered())
