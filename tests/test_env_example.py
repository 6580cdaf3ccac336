"""`.env.example` and the READMEs list exactly the settings that `config.py` reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import config
from config import ROOT, VARIABLES, load_settings, public_values
from scripts.env_example import lines

EXAMPLE = ROOT / ".env.example"
SETTING = re.compile(r"#([A-Z0-9_]+)=(.*)")
NAMES = [variable.name for variable in VARIABLES]
DEFAULTS = {variable.name: variable.default for variable in VARIABLES}


class Recorded(Mapping[str, str]):
    """An environment that remembers which variables were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_, self.asked = dict(values), set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def example() -> dict[str, str]:
    """Return the settings that lie commented out in the file, with their values."""
    found = [SETTING.fullmatch(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    return {match[1]: match[2] for match in found if match}


def table(readme: str) -> dict[str, str]:
    """Return each setting's default as a README's table gives it; a row may list several settings."""
    defaults: dict[str, str] = {}
    for line in (ROOT / readme).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([A-Z0-9_]+)`", cells[0])
        if len(cells) == 3 and names:
            values = [value.strip(" `") for value in re.split("[,、]", cells[1])]
            defaults |= dict(zip(names, [*values, *[""] * len(names)], strict=False))
    return defaults


def test_every_variable_that_is_read_is_in_the_list_and_no_other(tmp_path: Path) -> None:
    environ = Recorded({"DATA_DIR": str(tmp_path)})
    load_settings(environ)
    assert environ.asked == set(NAMES)


def test_the_example_is_made_from_the_list() -> None:
    text = "".join(f"{line}\n" for line in lines())
    assert EXAMPLE.read_text(encoding="utf-8") == text, "run: python -m scripts.env_example > .env.example"


def test_the_example_gives_each_variable_once_with_one_line_about_it() -> None:
    assert example() == DEFAULTS
    for before, line in zip(text := EXAMPLE.read_text().splitlines(), text[1:], strict=False):
        if SETTING.fullmatch(line):
            assert re.fullmatch(r"# .{10,100}\.", before), line


def test_the_defaults_in_the_example_are_those_that_hold(tmp_path: Path) -> None:
    given = {name: value for name, value in example().items() if value} | {"DATA_DIR": str(tmp_path)}
    assert load_settings(given) == load_settings({"DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_lists_the_same_settings_and_defaults(readme: str) -> None:
    listed = table(readme)
    assert set(listed) == set(NAMES)
    given = {variable.name: variable.default for variable in VARIABLES if variable.default}
    assert {name: listed[name] for name in given} == given


def test_no_secret_is_shown(tmp_path: Path) -> None:
    secrets = {
        "SECRET_KEY": "a-secret-of-this-test",
        "DATABASE_URL": "postgresql://u:a-secret-of-this-test@h/d",
        "REDIS_URL": "redis://:a-secret-of-this-test@h/0",
    }
    shown = public_values(load_settings({"DATA_DIR": str(tmp_path), "PORT": "8123", **secrets}))
    assert list(shown) == NAMES
    assert shown["PORT"] == "8123"
    assert "a-secret-of-this-test" not in str(shown)
    assert {name for name, value in shown.items() if value is None} == set(secrets)


def test_a_variable_that_is_not_in_the_list_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(config._DEFAULTS, "PORT")
    with pytest.raises(KeyError, match="PORT is not in VARIABLES"):
        load_settings({"DATA_DIR": "/nowhere", "SECRET_KEY": "a key for tests only"})
