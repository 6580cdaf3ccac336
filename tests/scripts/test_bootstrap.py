from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bootstrap
from scripts.bootstrap import SetupError, find_python, install
from tests.support.servers import ROOT


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the path."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def fake(directory: Path, name: str, status: int) -> str:
    """A Python that answers the probe with `status`: 0 will do, 1 lacks a module, 3 is too old."""
    program = directory / name
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    return str(program)


def test_the_newest_python_that_has_every_wheel_is_taken_first(pythons: Path) -> None:
    fake(pythons, "python3", 0)
    best = fake(pythons, "python3.12", 0)
    assert find_python("") == best


def test_an_old_python_and_one_without_venv_are_passed_over(pythons: Path) -> None:
    fake(pythons, "python3.12", 1)
    fake(pythons, "python3", 3)
    good = fake(pythons, "python3.13", 0)
    assert find_python("") == good


def test_a_python_named_by_hand_is_the_only_one_asked(pythons: Path) -> None:
    fake(pythons, "python3.12", 0)
    named = fake(pythons, "mine", 0)
    assert find_python(named) == named
    with pytest.raises(SetupError, match="PYTHON=/nowhere is not a Python"):
        find_python("/nowhere")


@pytest.mark.parametrize(
    ("status", "mend"), [(1, "apt-get install python3-venv"), (3, "https://www.python.org")]
)
def test_what_is_missing_is_named_with_its_mend(pythons: Path, status: int, mend: str) -> None:
    fake(pythons, "python3", status)
    with pytest.raises(SetupError, match=mend):
        find_python("")


def test_the_environment_is_made_once_and_again_when_the_lock_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, lock = tmp_path / "venv", tmp_path / "some.lock"
    lock.write_text("# nothing\n")
    install(environment, lock, sys.executable)
    assert "Making the virtual environment" in capsys.readouterr().out
    install(environment, lock, "/no/python/is/looked/for")
    assert capsys.readouterr().out == ""
    lock.write_text("# nothing, but otherwise\n")
    install(environment, lock, "/no/python/is/looked/for")
    assert capsys.readouterr().out == "Installing the packages of some.lock (a few minutes the first time)\n"


def test_a_registry_that_is_away_is_told_in_one_line_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, lock = tmp_path / "venv", tmp_path / "some.lock"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    lock.write_text(f"not-there==1.0 --hash=sha256:{'0' * 64}\n")
    for name in ("PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, os.devnull if name == "PIP_CONFIG_FILE" else "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setattr(bootstrap, "_PIP_OPTIONS", ("--disable-pip-version-check", "--retries=0"))
    for _ in range(2):
        with pytest.raises(SetupError, match="check the network"):
            install(environment, lock, sys.executable)


def test_the_locks_of_run_and_tests_agree() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_the_bootstrap_is_read_by_a_python_as_old_as_it_says() -> None:
    import ast

    for name in ("bootstrap.py", "ports.py", "__init__.py"):
        ast.parse((ROOT / "scripts" / name).read_text(), feature_version=(3, 8))


@pytest.mark.skipif(shutil.which("make") is None, reason="apt-get install make")
def test_make_help_names_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {line.split()[1] for line in told.splitlines()}
    assert {"run", "test", "check", "setup", "bench", "parity", "lock", "clean"} <= named
