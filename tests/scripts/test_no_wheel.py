"""No wheel of Vitrine is built by accident."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import no_wheel
from tests.support.servers import ROOT


@pytest.mark.parametrize("command", [("wheel", "."), ("install", "."), ("install", "--editable", ".")])
def test_pip_is_refused_in_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copy(no_wheel.__file__, tmp_path / "scripts")
    name, *arguments = command
    pip = [sys.executable, "-m", "pip", name, "--no-deps", "--no-index", *arguments]
    done = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert no_wheel.REASON in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.whl"))
