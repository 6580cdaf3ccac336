"""Files that ``flask gallery`` leaves out: private data, whatever the path to it, and ignored names."""

from __future__ import annotations

import json
from pathlib import Path

from app import create_app
from config import load_settings
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.galleries import make_gallery, write_picture


def test_uploads_below_the_gallery_become_no_items(tmp_path: Path) -> None:
    root = make_gallery(tmp_path / "pictures")
    (root / "data").mkdir()
    (tmp_path / "link").symlink_to(root / "data")
    weights = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    environ = {"DATA_DIR": str(tmp_path / "link"), "MODEL": "tiny", "MODEL_PATH": str(weights)}
    app = create_app(load_settings(environ))
    write_picture(app.config["VITRINE"].uploads_dir / "query.jpg", 90)
    runner = app.test_cli_runner()
    assert "12 pictures in " in runner.invoke(args=["gallery", "index", str(root)]).stdout
    evaluated = runner.invoke(args=["gallery", "evaluate", str(root), "--json"]).stdout
    assert json.loads(evaluated)["pictures"] == 12


def test_names_to_ignore_can_be_passed(tmp_path: Path) -> None:
    root = make_gallery(tmp_path / "pictures")
    weights = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    environ = {"DATA_DIR": str(tmp_path / "data"), "MODEL": "tiny", "MODEL_PATH": str(weights)}
    command = ["gallery", "index", str(root), "--ignore", "a", "--ignore", "00*.png"]
    done = create_app(load_settings(environ)).test_cli_runner().invoke(args=command)
    assert "5 pictures in " in done.stdout


def test_names_to_ignore_can_be_set_for_every_run(tmp_path: Path) -> None:
    root = make_gallery(tmp_path / "pictures")
    weights = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    environ = {"DATA_DIR": str(tmp_path / "data"), "MODEL": "tiny", "MODEL_PATH": str(weights)}
    app = create_app(load_settings(environ | {"GALLERY_IGNORE": " a, 00*.png ,"}))
    done = app.test_cli_runner().invoke(args=["gallery", "index", str(root)])
    assert "5 pictures in " in done.stdout
