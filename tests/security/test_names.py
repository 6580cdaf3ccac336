"""Which names are allowed, and which are the same (row 47)."""

from __future__ import annotations

import pytest
from flask import Flask

from app.accounts import names
from app.database import User
from tests.support.web import BOTH, Browser, count


@pytest.mark.parametrize(
    "name",
    [
        "anna",
        "Zoë",
        "张伟",
        "さくら子",
        "Ольга",
        "Ελένη",
        "o.k-2_x",
        "李明2",
        "ab",
        "x" * 32,
        "김철수",
        "佐々木",
        "サーバー",
    ],
)
def test_row_47_names_of_one_script_are_allowed(name: str) -> None:
    assert names.allowed(names.clean(name))


@pytest.mark.parametrize("name", ["Tom小明", "小明Tom", "王Amy_88", "Élodie李"])
def test_latin_letters_and_chinese_characters_may_be_mixed(name: str) -> None:
    assert names.allowed(names.clean(name))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "x" * 33,
        "аdmin",  # the first letter is Cyrillic
        "pаypal",
        "αnna",
        "Tomа小明",  # one letter is Cyrillic
        "adm丨n",  # a stroke instead of a letter
        "Tomさくら",
        "an na",
        "an\tna",
        "anna\0",
        "an\u200bna",
        "an\u202ena",
        "anna\u0301\u0301x́\u0489",
        "<b>x</b>",
        "../etc",
        ".anna",
        "anna-",
        "🦆duck",
        "--",
        "\ud800abc",
    ],
)
def test_row_47_deceptive_or_malformed_names_are_refused(name: str) -> None:
    assert not names.allowed(names.clean(name))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna", "anna"),
        ("ANNA", "anna"),
        ("ａｎｎａ", "anna"),  # full width
        (" anna ", "anna"),
        ("Zoë", "zoe\u0308"),
        ("STRASSE", "straße"),
        ("ﬁona", "fiona"),  # a ligature
        ("соре", "cope"),  # all Cyrillic, looks Latin
        ("ΝΙΚΟ", "νικο"),
    ],
)
def test_row_47_names_that_look_alike_are_the_same(one: str, other: str) -> None:
    assert names.key(one) == names.key(other)


def test_row_47_different_names_stay_different() -> None:
    assert len({names.key(name) for name in ("anna", "anne", "张伟", "张玮", "ольга", "олег")}) == 6


@BOTH
@pytest.mark.parametrize("name", ["maria", "MARIA", "ｍａｒｉａ", "mаria"])
def test_row_47_a_name_can_be_taken_only_once_in_any_spelling(app: Flask, maria: Browser, name: str) -> None:
    answer = Browser(app).signup(name)
    assert answer.status_code == 422
    assert count(app, User) == 1
