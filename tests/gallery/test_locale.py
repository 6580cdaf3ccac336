"""Names of pictures in processes whose locale is not UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT
from gallery.catalog import Catalog
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.galleries import write_picture

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NAME = "\u732b \u00e9.png"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    weights = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    own = {"DATA_DIR": str(tmp_path / "data"), "MODEL": "tiny", "MODEL_PATH": str(weights)}
    return {**os.environ, **own, **ASCII}


@pytest.mark.parametrize("command", [["-m", "flask"], [str(Path(sys.executable).with_name("flask"))]])
def test_stored_names_do_not_depend_on_the_locale(
    tmp_path: Path, environ: dict[str, str], command: list[str]
) -> None:
    root = tmp_path / "\u56fe\u7247"
    write_picture(root / NAME, 1)
    (root / os.fsdecode(b"latin \xe9.png")).write_bytes((root / NAME).read_bytes())
    line = [sys.executable, *command, "gallery", "index", str(root)]
    done = subprocess.run(line, cwd=ROOT, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"latin \\xe9.png: its name is not UTF-8" in done.stdout
    with Catalog.open(tmp_path / "data" / "indexes" / "tiny") as catalog:
        assert [item.path for item in catalog.page(0, 10)] == [NAME]
        assert catalog.manifest.root == str(root)
        assert catalog.file(catalog.at(0)).is_file()


def test_another_server_is_told_what_to_set(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "set PYTHONUTF8=1" in done.stderr
