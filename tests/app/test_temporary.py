"""Temporary files: where they lie, and what `flask doctor` says about them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from flask import Flask

from app import temporary
from app.cli.doctor import Level, temporary_files
from config import Settings


def test_temporary_files_lie_in_the_data_directory(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    temporary.use_data_dir(settings)
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == settings.data_dir / "tmp"
    assert settings.temporary_dir.stat().st_mode & 0o777 == 0o700


def test_the_doctor_names_a_folder_that_cannot_be_written(context: Flask, settings: Settings) -> None:
    [finding] = temporary_files()
    assert finding.level is Level.OK
    settings.temporary_dir.rmdir()
    settings.temporary_dir.write_text("not a folder")
    [finding] = temporary_files()
    assert finding.level is Level.BROKEN
    assert str(settings.temporary_dir) in finding.text
