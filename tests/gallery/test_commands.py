"""``flask gallery``: output and exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from flask import Flask

from app import create_app
from config import load_settings
from gallery.locks import exclusive
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.galleries import make_gallery, write_picture


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    weights = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    return {"DATA_DIR": str(tmp_path / "data"), "MODEL": "tiny", "MODEL_PATH": str(weights)}


@pytest.fixture
def app(environ: dict[str, str]) -> Flask:
    return create_app(load_settings(environ))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_gallery(tmp_path / "my pictures")


def flask(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=["gallery", *map(str, arguments)])


def succeeds(app: Flask, *arguments: object) -> str:
    result = flask(app, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(app: Flask, *arguments: object) -> str:
    result = flask(app, *arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    return result.stderr


def test_index_summarizes_the_run_and_reports_every_skipped_file(
    app: Flask, root: Path, tmp_path: Path
) -> None:
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "tricky \x1b[31m.txt").touch()
    result = flask(app, "index", root, "--workers", 3, "--report", tmp_path / "report.json")
    assert result.exit_code == 0
    assert "3 read" in result.stdout
    assert "12 pictures in " in result.stdout
    assert "; 2 files skipped" in result.stdout
    assert "broken.jpg: broken: " in result.stdout
    assert "\x1b" not in result.stdout
    assert "13/13" in result.stderr
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    assert [entry["path"] for entry in report["skipped"]] == ["broken.jpg", "tricky \x1b[31m.txt"]
    assert all(entry["reason"] for entry in report["skipped"])
    (root / "b" / "001.png").unlink()
    write_picture(root / "new.jpg", 80)
    assert "12 pictures: 1 new, 11 unchanged, 1 removed; 2 files skipped." in succeeds(app, "index", root)
    assert "12 pictures, all unchanged; 2 files skipped." in succeeds(app, "index", root)


def test_a_slip_never_replaces_the_gallery_or_empties_it(
    app: Flask, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeds(app, "index", root)
    assert "pass --replace" in fails(app, "index", root / "a")
    for path in sorted(root.rglob("*.*"))[:6]:
        path.unlink()
    refused = flask(app, "index", root)
    assert refused.exit_code == 1
    assert f"flask gallery index '{root}' --prune" in refused.stderr
    assert "12 from" in succeeds(app, "status")
    monkeypatch.setattr("app.cli.gallery._on_terminal", lambda: True)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["gallery", "index", str(root)], input="n\n").exit_code == 1
    assert "12 from" in succeeds(app, "status")
    answer = runner.invoke(args=["gallery", "index", str(root)], input="y\n")
    assert "0 new, 6 unchanged, 6 removed" in answer.stdout
    assert "6 removed" in succeeds(app, "index", root.rename(root.with_name("b")) / "c", "--replace")


def test_search_prints_the_nearest_as_a_table_or_json(app: Flask, root: Path) -> None:
    succeeds(app, "index", root)
    hits = json.loads(succeeds(app, "search", root / "b" / "001.png", "--top", 5, "--json"))
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert set(hits[0]) == {"rank", "score", "name", "path"}
    assert (hits[0]["name"], hits[0]["path"]) == ("001.png", "b/001.png")
    assert hits[0]["score"] == pytest.approx(1, abs=1e-6)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    table = succeeds(app, "search", root / "b" / "001.png").splitlines()
    assert table[0].split() == ["1", "1.0000", "b/001.png"]
    assert len(table) == 10


def test_search_fails_in_one_line_without_an_index_or_a_picture(app: Flask, root: Path) -> None:
    assert "flask gallery index DIR" in fails(app, "search", root / "a" / "000.jpg")
    succeeds(app, "index", root)
    (root / "page.png").write_text("<html>")
    assert "the file is not one of" in fails(app, "search", root / "page.png")


def test_other_weights_are_refused_with_the_command_that_fixes_it(
    app: Flask, environ: dict[str, str], root: Path
) -> None:
    succeeds(app, "index", root)
    write_tiny_checkpoint(Path(environ["MODEL_PATH"]), seed=1)
    fix = f"flask gallery index '{root}'"
    assert fix in fails(app, "search", root / "a" / "000.jpg")
    assert fix in succeeds(app, "status")
    succeeds(app, "index", root)
    assert "mismatch" not in succeeds(app, "status")


def test_evaluate_prints_the_measures(app: Flask, root: Path) -> None:
    values = json.loads(succeeds(app, "evaluate", root, "--json"))
    assert list(values) == ["model", "classes", "pictures", "p_at_1", "p_at_10", "map_at_10", "recall_at_10"]
    assert (values["model"], values["classes"], values["pictures"]) == ("tiny", 3, 12)
    assert f"map_at_10     {values['map_at_10']:.4f}" in succeeds(app, "evaluate", root)


def test_status_lists_files_that_have_changed(app: Flask, root: Path) -> None:
    succeeds(app, "index", root)
    write_picture(root / "a" / "000.jpg", 77)
    (root / "b" / "001.png").unlink()
    output = succeeds(app, "status")
    assert f"12 from {root}" in output
    assert "2 files have changed" in output
    assert "a/000.jpg: changed" in output
    assert "b/001.png: missing" in output


def test_an_export_can_be_imported(app: Flask, root: Path, tmp_path: Path) -> None:
    succeeds(app, "index", root)
    exported = tmp_path / "vectors.npz"
    assert "Wrote 12 features" in succeeds(app, "export", exported)
    assert "Imported 12 features" in succeeds(app, "import", exported, "--root", root)
    with np.load(exported) as arrays:
        assert arrays["features"].shape == (12, 64)


def test_prune_removes_the_thumbnails_of_pictures_that_are_gone(app: Flask, root: Path) -> None:
    succeeds(app, "index", root)
    (root / "b" / "001.png").unlink()
    for seed in (80, 81):
        write_picture(root / "new.jpg", seed)
        succeeds(app, "index", root)
    assert "Removed 0 generations and 1 thumbnails." in succeeds(app, "prune")


def test_a_second_indexer_fails_with_a_message(app: Flask, root: Path) -> None:
    with exclusive(app.config["VITRINE"].index_dir):
        assert "Another process" in fails(app, "index", root)


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    app: Flask, root: Path, tmp_path: Path
) -> None:
    result = flask(app, "index", root, "--report", tmp_path / "missing" / "report.json")
    assert result.exit_code == 2
    assert "missing does not exist; make it first" in result.stderr
    assert "There is no index" in fails(app, "status")
    assert flask(app, "export", tmp_path / "missing" / "f.npz").exit_code == 2
