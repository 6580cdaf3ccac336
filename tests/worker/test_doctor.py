from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from model.version import version
from tests.support.installation import Installation
from tests.support.servers import ROOT


def doctor(installation: Installation, **environ: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run the command; return the exit status, and level and text of each part."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "doctor"],
        cwd=ROOT,
        env={**os.environ, **installation.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return done.returncode, {part: (level, text) for level, part, text in lines}


def test_a_sound_installation_passes(installation: Installation) -> None:
    with installation.worker():
        status, found = doctor(installation)
    assert status == 0
    assert {level for level, _ in found.values()} <= {"ok", "warning"}
    assert set(found) >= {"disk", "database", "migrations", "writing", "redis", "worker", "weights", "index"}
    assert found["worker"] == ("ok", "1 running")
    assert found["vitrine"][1].startswith(f"{version()}, Python 3.")


@pytest.mark.parametrize("backend", ["sqlite"])
def test_each_broken_part_is_named_with_its_fix(installation: Installation) -> None:
    shutil.rmtree(installation.settings.index_dir)
    (installation.directory / "vitrine.db").unlink()
    status, found = doctor(installation)
    assert status == 1
    broken = {part: text for part, (level, text) in found.items() if level == "BROKEN"}
    assert set(broken) == {"migrations", "worker", "index"}
    assert "flask db upgrade" in broken["migrations"]
    assert "python -m worker" in broken["worker"]
    assert "flask gallery index DIR" in broken["index"]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_read_only_database_and_a_stopped_redis_are_broken(installation: Installation) -> None:
    installation.redis.stop()
    database = f"sqlite:///file:{installation.directory / 'vitrine.db'}?mode=ro&uri=true"
    status, found = doctor(installation, DATABASE_URL=database)
    assert status == 1
    assert found["writing"][0] == "BROKEN"
    assert found["redis"][0] == "BROKEN"


@pytest.mark.parametrize("redis_options", [("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")])
def test_a_redis_that_may_evict_is_broken(installation: Installation) -> None:
    _, found = doctor(installation)
    assert found["redis"][0] == "BROKEN"
    assert "CONFIG SET maxmemory-policy noeviction" in found["redis"][1]


def test_an_index_of_another_model_is_broken(installation: Installation) -> None:
    _, found = doctor(installation, PREPROCESS="resize_short_side")
    assert found["index"][0] == "BROKEN"
    assert "flask gallery index" in found["index"][1]
