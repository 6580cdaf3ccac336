from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import pip
from scripts.bootstrap import SetupError, find_python, install
from tests.support.servers import ROOT


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on the path."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def fake(directory: Path, name: str, status: int) -> str:
    """Write a Python that answers the probe with `status`: 0 is good, 1 lacks a module, 3 is too old."""
    program = directory / name
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    return str(program)


def test_the_newest_python_that_has_every_wheel_is_preferred(pythons: Path) -> None:
    fake(pythons, "python3", 0)
    best = fake(pythons, "python3.12", 0)
    assert find_python("") == best


def test_an_old_python_and_one_without_venv_are_skipped(pythons: Path) -> None:
    fake(pythons, "python3.12", 1)
    fake(pythons, "python3", 3)
    good = fake(pythons, "python3.13", 0)
    assert find_python("") == good


def test_a_chosen_python_is_the_only_one_considered(pythons: Path) -> None:
    fake(pythons, "python3.12", 0)
    named = fake(pythons, "mine", 0)
    assert find_python(named) == named
    with pytest.raises(SetupError, match="PYTHON=/nowhere is not Python"):
        find_python("/nowhere")


@pytest.mark.parametrize(
    ("status", "fix"), [(1, "apt-get install python3-venv"), (3, "https://www.python.org")]
)
def test_the_message_says_how_to_get_what_is_missing(pythons: Path, status: int, fix: str) -> None:
    fake(pythons, "python3", status)
    with pytest.raises(SetupError, match=fix):
        find_python("")


def test_packages_are_installed_once_and_again_when_the_lock_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, lock = tmp_path / "venv", tmp_path / "some.lock"
    lock.write_text("# nothing\n")
    install(environment, lock, sys.executable)
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == ["Environment", "Packages", "Packages"]
    assert lines[-1][1] == "0 installed"
    install(environment, lock, "/no/python/is/looked/for")
    assert capsys.readouterr().out == ""
    lock.write_text("# nothing, but otherwise\n")
    install(environment, lock, "/no/python/is/looked/for")
    assert "Environment" not in (output := capsys.readouterr().out)
    assert "installing those of some.lock" in output


def test_an_unreachable_registry_is_reported_with_the_errors_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, lock = tmp_path / "venv", tmp_path / "some.lock"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    lock.write_text(f"not-there==1.0 --hash=sha256:{'0' * 64}\n")
    for name in ("PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, os.devnull if name == "PIP_CONFIG_FILE" else "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setattr(pip, "OPTIONS", ("--disable-pip-version-check", "--retries=1"))
    for _ in range(2):
        with pytest.raises(SetupError, match="Check the network") as raised:
            install(environment, lock, sys.executable)
        assert "Retrying" in str(raised.value)
        assert "ERROR: No matching distribution found for not-there==1.0" in str(raised.value)


def test_the_lock_files_of_run_and_tests_agree() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_the_bootstrap_can_be_parsed_by_python_3_8() -> None:
    import ast

    for name in ("bootstrap.py", "pip.py", "ports.py", "steps.py", "__init__.py"):
        ast.parse((ROOT / "scripts" / name).read_text(), feature_version=(3, 8))


@pytest.mark.skipif(shutil.which("make") is None, reason="apt-get install make")
def test_make_help_names_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {line.split()[1] for line in told.splitlines()}
    assert {"run", "test", "check", "setup", "bench", "parity", "lock", "clean"} <= named
