"""A database and a data directory that do not belong together (row 52)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from app import create_app, pairing
from app.database import utcnow
from app.uploads import storage
from config import Settings, load_settings
from tests.support.databases import migrate
from tests.support.installation import Installation
from tests.support.searches import waiting_search
from tests.support.servers import ROOT
from worker import housekeeping


def store(directory: Path, count: int) -> set[str]:
    """Write stored pictures that no row refers to, older than any upload in progress."""
    directory.mkdir(parents=True, exist_ok=True)
    names = {f"{uuid.uuid4().hex}.jpg" for _ in range(count)}
    then = time.time() - 2 * storage.ORPHAN_AGE
    for name in names:
        (directory / name).write_bytes(b"picture")
        os.utime(directory / name, (then, then))
    return names


def stored(settings: Settings) -> set[str]:
    return {path.name for path in settings.uploads_dir.glob("*.jpg")}


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("paired", [True, False])
def test_row_52_web_and_worker_refuse_a_database_of_another_site(
    installation: Installation, tmp_path: Path, paired: bool
) -> None:
    names = store(installation.settings.uploads_dir, 40)
    if paired:
        with installation.app.app_context():
            pairing.adopt()
    environ = {**installation.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'forgotten.db'}"}
    migrate(load_settings(environ))
    for command in (["wsgi.py"], ["-m", "worker"], ["-m", "flask", "doctor"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=os.environ | environ, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        if not paired and "doctor" in command:
            continue  # doctor changes nothing, and the first start decides
        assert done.returncode != 0
        assert "does not belong to the database" in done.stdout + done.stderr
        assert "DATABASE_URL" in done.stdout + done.stderr
    assert stored(installation.settings) == names


@pytest.mark.usefixtures("context")
def test_row_52_a_new_site_and_an_existing_pair_get_an_id_once(settings: Settings) -> None:
    waiting_search()
    assert pairing.check()
    identity = pairing.identity_file().read_text()
    assert pairing.check()
    assert pairing.known()
    assert pairing.identity_file().read_text() == identity
    pairing.identity_file().write_text("another\n")
    with pytest.raises(pairing.StrangerError, match="flask site adopt"):
        pairing.check()
    pairing.adopt()
    assert pairing.check()


@pytest.mark.usefixtures("context")
def test_row_52_a_sweep_leaves_everything_where_nearly_all_files_are_unknown(settings: Settings) -> None:
    assert pairing.check()
    names = store(settings.uploads_dir, 403)
    assert housekeeping.sweep(utcnow()).files == 0
    assert stored(settings) == names
    assert storage.remove_orphans(limited=False) == 403


@pytest.mark.usefixtures("context")
def test_row_52_a_sweep_with_another_database_leaves_everything(settings: Settings) -> None:
    assert pairing.check()
    names = store(settings.uploads_dir, 3)
    pairing.identity_file().write_text("another\n")
    assert housekeeping.sweep(utcnow()).files == 0
    assert stored(settings) == names


@pytest.mark.usefixtures("context")
def test_row_52_files_are_kept_aside_for_a_week_before_they_are_removed(settings: Settings) -> None:
    names = store(settings.uploads_dir, 3)
    assert housekeeping.sweep(utcnow()).files == 3
    assert stored(settings) == set()
    aside = storage.set_aside_folder()
    assert {path.name for path in aside.iterdir()} == names
    storage.remove_orphans(time.time() + storage.SET_ASIDE_SECONDS - 60)
    assert {path.name for path in aside.iterdir()} == names
    storage.remove_orphans(time.time() + storage.SET_ASIDE_SECONDS + 60)
    assert list(aside.iterdir()) == []


def test_row_52_commands_pair_a_new_database_on_request(settings: Settings) -> None:
    application = create_app(settings)
    runner = application.test_cli_runner()
    store(settings.uploads_dir, 20)
    with application.app_context(), pytest.raises(pairing.StrangerError):
        pairing.check()
    assert runner.invoke(args=["site", "adopt", "--yes"]).exit_code == 0
    assert "set aside: 20" in runner.invoke(args=["site", "sweep"]).output
