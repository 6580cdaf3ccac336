"""What the Dockerfile copies is enough to run, and compose.yaml holds no secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT, VARIABLES

COMPOSE = (ROOT / "compose.yaml").read_text()
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NAMES = {variable.name for variable in VARIABLES}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as ``COPY .`` takes it into the image."""
    folder = tmp_path_factory.mktemp("image")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder)
    return folder


def run(image: Path, data: Path, *arguments: str) -> str:
    environ = {"APP_ENV": "production", "SECRET_KEY": "a key for tests only", "DATA_DIR": str(data)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=image,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_image_holds_can_migrate_and_serve(image: Path, tmp_path: Path) -> None:
    before = sorted(image.rglob("*"))
    run(image, tmp_path, "-m", "flask", "db", "upgrade")
    check = "import wsgi; print(wsgi.app.test_client().get('/', base_url='https://localhost').status)"
    assert run(image, tmp_path, "-c", check).startswith("200")
    assert sorted(image.rglob("*")) == before, "something was written outside of DATA_DIR"


def test_what_the_image_holds_can_search(image: Path, tmp_path: Path) -> None:
    run(image, tmp_path, "-c", "import worker.jobs, worker.reconciler, worker.supervisor")
    assert "vitrine-small" in run(image, tmp_path, "-m", "flask", "model", "info")


def test_no_secret_has_a_default() -> None:
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(..)", COMPOSE)) == {":?"}


def test_compose_sets_only_settings_that_exist() -> None:
    block = COMPOSE[COMPOSE.index("environment: &environment") : COMPOSE.index("networks: [inside]")]
    assert set(re.findall(r"^    ([A-Z_0-9]+):", block, re.MULTILINE)) <= NAMES


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_the_units_start_what_the_procfile_starts(unit: Path) -> None:
    text = unit.read_text()
    (command,) = re.findall(r"^ExecStart=/opt/vitrine/\.venv/bin/(.*)", text, re.MULTILINE)
    name = unit.stem.removeprefix("vitrine-")
    assert f"{name}: {command}" in (ROOT / "Procfile").read_text().splitlines()
    (settings,) = re.findall(r"^Environment=(.*)", text, re.MULTILINE)
    assert {pair.partition("=")[0] for pair in settings.split()} <= NAMES | {"PYTHONDONTWRITEBYTECODE"}
