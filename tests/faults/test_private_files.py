"""Other users of the machine read nothing of a site, whatever the umask (row 54)."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drawings import picture
from tests.support.installation import Installation
from tests.support.privileges import without_privileges
from tests.support.servers import ROOT, RedisUnderTest


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask of most systems: everybody may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def site(template: Path, public_folder: Path, redis: RedisUnderTest) -> Installation:
    """A site of an earlier version, which everybody may read, in a folder that everybody may enter."""
    directory = public_folder / "data"
    shutil.copytree(template, directory)
    (directory / "uploads").mkdir(exist_ok=True)
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Installation(directory, redis)


def exposed(directory: Path) -> list[str]:
    """Return what other users may read, without the pictures of the gallery, which the test made."""
    found = [path for path in (directory, *directory.rglob("*")) if "pictures" not in path.parts]
    return [str(path) for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_row_54_database_uploads_and_index_are_private_while_a_site_runs(site: Installation) -> None:
    assert exposed(site.directory)
    log = site.directory / "worker.log"
    with site.serving():
        row = site.ended(site.submit(picture(1)))
        assert row.status == "done"
        made = {path.name for path in site.directory.rglob("*")}
        assert {"vitrine.db", "vitrine.db-wal", "uploads", "indexes", "thumbnails"} <= made
        assert exposed(site.directory / "uploads") == []
        left = [name for name in exposed(site.directory) if not name.endswith(".log")]  # opened by this test
        assert left == []
        with without_privileges(), pytest.raises(PermissionError):
            (site.directory / "vitrine.db").read_bytes()
    said = (site.directory / "web.log").read_text() + log.read_text()
    assert said.count("other users of this machine could read") == 1
    site.close()


def test_row_54_commands_make_private_files(public_folder: Path, site: Installation) -> None:
    directory = public_folder / "new"
    environ = {**os.environ, "DATA_DIR": str(directory), "MODEL": "vitrine-small", "DATABASE_URL": ""}
    environ.pop("SECRET_KEY", None)
    for command in (["db", "upgrade"], ["gallery", "index", str(site.directory / "pictures")]):
        done = subprocess.run(
            [sys.executable, "-m", "flask", *command], cwd=ROOT, env=environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert {"vitrine.db", "secret_key", "indexes", "thumbnails"} <= {
        path.name for path in directory.iterdir()
    }
    assert exposed(directory) == []
    site.close()
