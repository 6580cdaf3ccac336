"""``flask model fetch``, ``flask gallery download`` and ``demo``: output and exit status."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app import create_app
from config import load_settings
from gallery import demo
from gallery.pictograms import is_shown
from model.checkpoints import registry
from model.checkpoints.layouts import OFFICIAL
from tests.support import pictures
from tests.support.archives import files_below, make_zip
from tests.support.checkpoints import KINDS, write_checkpoint
from tests.support.http import Page, Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def app(tmp_path: Path, site: Site) -> Flask:
    environ = {"DATA_DIR": str(tmp_path / "data"), "DINOV2_MIRROR": site.address + "/dinov2"}
    return create_app(load_settings(environ))


def flask(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=list(map(str, arguments)))


@pytest.fixture
def pth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny official checkpoint, entered in the registry as dinov2-tiny."""
    config = KINDS["plain"]
    path = write_checkpoint(tmp_path / "official.pth", config, layout=OFFICIAL)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    shape = (config.width, config.depth, config.registers)
    entry = registry.OfficialCheckpoint("dinov2-tiny", "vitt14", *shape, 100_000, digest)
    monkeypatch.setitem(registry.CHECKPOINTS, "dinov2-tiny", entry)
    return path


def test_fetch_without_a_name_lists_the_checkpoints(app: Flask) -> None:
    output = flask(app, "model", "fetch").output
    assert [line.split()[0] for line in output.splitlines()[:-1]] == list(registry.CHECKPOINTS)
    assert "recommended" in output.splitlines()[1]
    assert "installed" not in output


def test_fetch_installs_from_the_mirror_and_the_list_shows_it(app: Flask, site: Site, pth: Path) -> None:
    site.put("/dinov2/dinov2_vitt14/dinov2_vitt14_pretrain.pth", pth.read_bytes())
    result = flask(app, "model", "fetch", "dinov2-tiny")
    assert result.exit_code == 0, result.output
    assert "MODEL=dinov2-tiny make run" in result.stdout
    place = app.config["VITRINE"].models_dir / "dinov2-tiny.safetensors"
    assert f"installed: {place}" in flask(app, "model", "fetch").output


def test_fetch_accepts_a_local_file(app: Flask, site: Site, pth: Path) -> None:
    assert flask(app, "model", "fetch", "dinov2-tiny", "--file", pth).exit_code == 0
    assert site.asked == []


def test_fetch_fails_in_one_line(app: Flask, pth: Path) -> None:
    result = flask(app, "model", "fetch", "dinov2-tiny")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "404" in result.stderr
    assert "choose one of: dinov2-small" in flask(app, "model", "fetch", "dinov9").stderr


def test_download_stores_pictures_and_reports_failures(app: Flask, site: Site, tmp_path: Path) -> None:
    good = site.put("/good.jpg", pictures.encoded(pictures.scene(), "JPEG"))
    bad = site.put("/bad\x1b.jpg", Page(b"<html>", media_type="image/jpeg"))
    source, folder, report = tmp_path / "list.csv", tmp_path / "photos", tmp_path / "report.json"
    source.write_text(f"url\n{good}\n{bad}\n")
    result = flask(app, "gallery", "download", source, folder, "--report", report)
    assert result.exit_code == 0, result.output
    assert "1 pictures downloaded, 0 already there, 1 failed." in result.stdout
    assert "\x1b" not in result.stdout
    assert len(files_below(folder)) == 1
    assert [failure["source"] for failure in json.loads(report.read_text())["failed"]] == [bad]


def test_download_explains_why_a_source_is_unusable(app: Flask, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.jpg": b"x" * 2_000_000})
    result = flask(app, "gallery", "download", archive, tmp_path / "photos", "--max-mb", 1)
    assert "larger than the 1,048,576 bytes allowed" in result.stdout
    result = flask(app, "gallery", "download", "nowhere", tmp_path / "photos")
    assert result.exit_code == 1
    assert "imagenette-160" in result.stderr


def test_demo_draws_into_the_data_directory_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    few = demo.package_data()._replace(codes=["1F431", "1F34E"])
    monkeypatch.setattr(demo, "package_data", lambda: few)
    place = app.config["VITRINE"].data_dir / "demo"
    assert f"2 pictograms in {place}." in flask(app, "gallery", "demo").stdout
    assert f"2 pictograms in {place}, drawn earlier." in flask(app, "gallery", "demo").stdout
    assert {"animals/cat-face.png", "food/red-apple.png"} < files_below(place)


def test_the_help_of_demo_states_the_number_of_pictograms(app: Flask) -> None:
    shown = sum(map(is_shown, demo.package_data().codes))
    assert f"about {round(shown, -2):,} pictograms" in flask(app, "gallery", "demo", "--help").stdout
