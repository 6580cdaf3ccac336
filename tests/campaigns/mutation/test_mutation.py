"""``make mutation`` itself: it finds each protection, and reports which test fails or that none does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from config import ROOT
from tests.campaigns.mutation.protections import PROTECTIONS, Protection
from tests.campaigns.mutation.run import copy, play

REDIRECTS = next(protection for protection in PROTECTIONS if protection.row == 43)


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda protection: protection.name)
def test_a_protection_stands_where_the_list_says_and_can_be_taken_away(protection: Protection) -> None:
    taken_away = protection.taken_away()
    assert taken_away != (ROOT / protection.file).read_text(encoding="utf-8")
    ast.parse(taken_away)


def test_a_loss_is_noticed_by_its_rows_tests_and_a_harmless_change_by_none(tmp_path: Path) -> None:
    project = copy(tmp_path)
    noticed = play(REDIRECTS, project)
    assert noticed is not None
    assert noticed.startswith("tests/security/test_redirects.py::test_row_43_")
    harmless = REDIRECTS._replace(without=REDIRECTS.code + "  # as before")
    assert play(harmless, project) is None
    assert (project / REDIRECTS.file).read_bytes() == (ROOT / REDIRECTS.file).read_bytes()


def test_code_that_is_not_there_once_is_an_error() -> None:
    with pytest.raises(ValueError, match="found 0 times"):
        REDIRECTS._replace(code="no such code").taken_away()
