"""A full disk loses nothing and leaves nothing half done (row 38)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config import ROOT

pytestmark = pytest.mark.timeout(300)  # five full disks in one process
REFUSED = [503, "unavailable", True]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user cannot mount file systems: sysctl -w kernel.unprivileged_userns_clone=1")
    directory: Path = tmp_path_factory.mktemp("disks")
    command = ["unshare", "-rm", sys.executable, "-m", "tests.support.full_disk", directory]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return {name: found for line in done.stdout.splitlines() for name, found in json.loads(line).items()}


@pytest.mark.parametrize("where", ["uploads", "everything", "temporary"])
def test_row_38_a_full_disk_is_a_503_without_row_or_file_and_pages_are_served(
    outcomes: dict[str, Any], where: str
) -> None:
    assert outcomes[where] == {
        "full": [REFUSED, REFUSED],
        "page": 200,
        "unchanged": True,
        "later": [201, 201],
    }


def test_row_38_a_search_that_cannot_save_its_preview_keeps_its_picture_and_is_retried(
    outcomes: dict[str, Any],
) -> None:
    assert outcomes["preview"] == {"full": ["queued", 0, True], "later": [True, "done", True]}


def test_row_38_a_server_that_cannot_buffer_a_body_refuses_it_and_serves_others(
    outcomes: dict[str, Any],
) -> None:
    expected = {"first": 201, "refused": True, "page": 200, "unchanged": True, "later": 201}
    assert outcomes["server"] == expected
