"""``flask --help`` and ``flask user``."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result
from flask import Flask

from app import create_app
from config import ROOT, load_settings
from tests.support.databases import KEY
from tests.support.web import PASSWORD, Browser


def user(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["user", *arguments])


def test_an_account_is_created_listed_and_deleted(app: Flask) -> None:
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
def test_the_rules_for_names_and_passwords_apply(
    app: Flask, maria: Browser, name: str, password: str, reason: str
) -> None:
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
def test_an_unknown_name_is_reported_in_one_line(app: Flask, command: str) -> None:
    name, *options = command.split()
    result = user(app, name, "nobody", *options)
    assert result.exit_code == 1
    assert "There is no account 'nobody'" in result.output


def test_without_tables_the_message_names_the_fix(tmp_path: Path) -> None:
    app = create_app(load_settings({"DATA_DIR": str(tmp_path), "SECRET_KEY": KEY}))
    result = user(app, "list")
    assert (result.exit_code, "flask doctor" in result.output) == (1, True)


def flask_help(*arguments: str) -> str:
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commands_of(section: str) -> list[str]:
    return [line.split()[0] for line in section.splitlines() if line.startswith("  ")]


def test_flask_help_introduces_vitrine_and_lists_its_commands_first() -> None:
    introduction, own, others = re.split(r"^Commands.*:$", flask_help("--help"), flags=re.MULTILINE)
    assert "Vitrine is self-hosted visual search" in introduction
    assert commands_of(own)[:4] == ["gallery", "model", "user", "doctor"]
    assert commands_of(others.partition("Options:")[0]) == ["db", "routes", "run", "shell"]
    assert "--env-file" in others


def every_command(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if name == "db":  # Flask-Migrate's
            continue
        yield name, command
        if isinstance(command, click.Group):
            yield from every_command(command)


def test_every_command_and_option_has_a_help_text_that_fits_its_list(app: Flask) -> None:
    for name, command in every_command(app.cli):
        assert command.get_short_help_str(60), name
        assert not command.get_short_help_str(60).endswith("..."), name
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{name}: {option.name}"
