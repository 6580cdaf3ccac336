"""Outages of disk and database do not count as attempts (row 53)."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from config import ROOT
from tests.support.installation import Installation
from worker import attempts, jobs, outages
from worker.runtime import AttemptSlot, Runtime, use

SECONDS = 20


def test_row_53_no_search_is_lost_while_the_disk_is_full(template: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user cannot mount file systems: sysctl -w kernel.unprivileged_userns_clone=1")
    directory = tmp_path / "data"
    shutil.copytree(template, directory)
    command = ["unshare", "-rm", sys.executable, "-m", "tests.support.outage", directory, str(SECONDS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["during"]) == {"queued"}
    assert set(found["statuses"]) == {"done"}
    assert set(found["attempts"]) == {1}
    assert (found["pauses"], found["over"]) == (1, 1)


def test_row_53_an_attempt_is_given_back_until_somebody_else_has_claimed_the_search(
    installation: Installation,
) -> None:
    search_id = installation.submit(enqueue=False)
    with installation.app.app_context():
        claim = attempts.claim(search_id, 10.0)
        assert claim is not None
        assert attempts.give_back(claim)
        again = attempts.claim(search_id, 10.0)
        assert again is not None
        assert again.attempt == 1
        assert attempts.retry_later(again)
        assert attempts.give_back(again)
        for _ in range(2):
            later = attempts.claim(search_id, 10.0)
            assert later is not None
            attempts.retry_later(later)
        assert not attempts.give_back(again)


def test_row_53_a_database_that_goes_away_during_a_search_is_no_attempt(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> bool:
        raise OperationalError("UPDATE", {}, Exception("gone"))

    runtime = Runtime(installation.app)
    runtime.slot = AttemptSlot()
    runtime.refresh()
    use(runtime)
    search_id = installation.submit(enqueue=False)
    with monkeypatch.context() as patch:
        patch.setattr(attempts, "finish", away)
        patch.setattr(attempts, "give_back", away)
        jobs.run_search(str(search_id))
    assert (runtime.slot.held(), runtime.slot.met_outage()) == (1, True)
    with installation.app.app_context():
        assert attempts.give_back(attempts.Attempt(search_id, 1, 10.0))
    assert installation.row(search_id).attempt == 0  # type: ignore[union-attr]
    runtime.close()


def test_row_53_only_errors_that_every_search_would_meet_are_outages(installation: Installation) -> None:
    assert outages.is_outage(OSError(errno.ENOSPC, "full"))
    assert not outages.is_outage(OSError(errno.EFBIG, "too large"))
    assert not outages.is_outage(FileNotFoundError(errno.ENOENT, "gone"))
    assert outages.problem(installation.app) == ""
    shutil.rmtree(installation.settings.uploads_dir, ignore_errors=True)
    installation.settings.uploads_dir.write_text("not a folder")
    assert "cannot be written" in outages.problem(installation.app)
