"""The four rules for passwords, and how passwords are stored."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from flask import Flask

from app.accounts import passwords

pytestmark = pytest.mark.usefixtures("context")


def rules(password: str, name: str = "maria") -> set[str]:
    return {failure.rule for failure in passwords.failures(password, name)}


@pytest.mark.parametrize(
    ("password", "broken"),
    [
        ("rhubarb-and-ginger", set()),
        ("很长的一句话没人会猜", set()),
        ("short1!", {"length"}),
        ("483920175566", {"digits"}),
        (" 48392017 ", {"digits"}),
        ("password1", {"common"}),
        ("PASSWORD1", {"common"}),
        ("12345678", {"digits", "common"}),
        ("", {"length", "digits", "common"}),
        ("mariamaria", {"similar"}),
        ("maria1990", {"similar"}),
        ("MARIA_1990", {"similar"}),
        ("airam-1234567890", set()),
        ("aaaaaaaa", {"common"}),
        ("xkxkxkxkxk", {"common"}),
        ("abcdefgh", {"common"}),
        ("Hgfedcba!", {"common"}),
        ("qwer1234", {"common"}),
        ("asdfghjkl;", {"common"}),
        ("vitrine1", {"common"}),
        ("Vitrine2026", {"common"}),
        ("my vitrine of ducks", set()),
        ("aaaa-duck-pond", set()),
    ],
)
def test_each_broken_rule_is_reported(password: str, broken: set[str]) -> None:
    assert rules(password) == broken


def test_parts_of_a_name_count_as_the_name() -> None:
    assert rules("christopher", "christopher.robin") == {"similar"}


def test_a_megabyte_is_too_long() -> None:
    assert rules("x" * 2**20) == {"length"}
    assert rules("é" * 513) == {"length"}
    assert rules("a long sentence, é " * 40) == set()


def test_only_the_right_password_matches_a_hash() -> None:
    stored = passwords.hash_password("rhubarb-and-ginger")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify("rhubarb-and-ginger", stored)
    assert not passwords.verify("rhubarb-and-gingeR", stored)
    assert not passwords.verify("", stored)


def test_equivalent_unicode_spellings_are_the_same_password() -> None:
    stored = passwords.hash_password("crème-brûlée-ﬁn")
    assert passwords.verify("cre\u0300me-bru\u0302le\u0301e-fin", stored)


@pytest.mark.parametrize("password", ["x" * 2**20, "x" * 1025, "\ud800", "nul\0nul"])
def test_unusual_passwords_are_wrong_and_no_error(password: str) -> None:
    assert not passwords.verify(password, passwords.hash_password("x" * 1024))


def test_the_password_of_an_unknown_name_is_verified_with_current_parameters() -> None:
    assert not passwords.verify("rhubarb-and-ginger", None)
    assert not passwords.outdated(passwords.DUMMY_HASH)


def test_a_hash_with_weaker_parameters_is_outdated() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
    assert passwords.outdated(weak)
    assert not passwords.outdated(passwords.hash_password("x"))


def test_messages_are_in_the_readers_language(app: Flask) -> None:
    from flask_babel import force_locale

    with app.test_request_context(), force_locale("zh_Hans"):
        assert passwords.failures("short1!", "maria")[0].message == "密码至少需要 8 个字符。"
