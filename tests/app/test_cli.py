"""``flask user``: accounts from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app import create_app
from config import load_settings
from tests.support.databases import KEY
from tests.support.web import PASSWORD, Browser


def user(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["user", *arguments])


def test_an_account_is_made_listed_and_deleted(app: Flask) -> None:
    assert user(app, "create", "Zoë", "--password", PASSWORD).exit_code == 0
    assert "Zoë" in user(app, "list").output
    assert Browser(app).login("zoë").status_code == 303
    assert user(app, "delete", "ZOË", "--yes").exit_code == 0
    assert user(app, "list").output == ""


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("a", PASSWORD, "2 to 32"),
        ("аdmin", PASSWORD, "one script"),
        ("maria", PASSWORD, "taken"),
        ("peter", "12345678", "digits"),
    ],
)
def test_the_rules_hold_here_too(app: Flask, maria: Browser, name: str, password: str, reason: str) -> None:
    result = user(app, "create", name, "--password", password)
    assert result.exit_code != 0
    assert reason in result.output


def test_a_new_password_logs_the_account_out(app: Flask, maria: Browser) -> None:
    assert user(app, "set-password", "maria", "--password", "a new long one").exit_code == 0
    assert not maria.logged_in()
    assert Browser(app).login(password="a new long one").status_code == 303


def test_sessions_are_listed_and_ended(app: Flask, maria: Browser) -> None:
    assert "UTC" in user(app, "sessions", "maria").output
    assert user(app, "sessions", "maria", "--end").exit_code == 0
    assert not maria.logged_in()


@pytest.mark.parametrize("command", ["delete --yes", "sessions", "set-password --password x"])
def test_an_unknown_name_is_said_in_one_line(app: Flask, command: str) -> None:
    name, *options = command.split()
    result = user(app, name, "nobody", *options)
    assert result.exit_code == 1
    assert "There is no account 'nobody'" in result.output


def test_without_tables_the_mend_is_named(tmp_path: Path) -> None:
    app = create_app(load_settings({"DATA_DIR": str(tmp_path), "SECRET_KEY": KEY}))
    result = user(app, "list")
    assert (result.exit_code, "flask doctor" in result.output) == (1, True)
