"""``make mutation``: remove one protection after the other, and see which test fails.

Each is taken away in a copy of the project, never in the project itself, and the tests of its row are run
there. A protection whose loss no test notices is one that may be lost in any change to come.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from config import ROOT
from tests.campaigns.mutation.protections import PROTECTIONS, Protection

LEFT_BEHIND = (".git", ".venv*", ".*_cache", ".hypothesis", "build", "var", "__pycache__")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
SECONDS = 300.0


def copy(directory: Path) -> Path:
    """Copy the project; return where it is."""
    return Path(shutil.copytree(ROOT, directory / "project", ignore=shutil.ignore_patterns(*LEFT_BEHIND)))


def play(protection: Protection, project: Path) -> str | None:
    """Remove a protection in a copy of the project; return the first test that fails, None if none does.

    Raises
    ------
    RuntimeError
        The tests did not run at all.
    """
    file = project / protection.file
    whole = file.read_text(encoding="utf-8")
    file.write_text(protection.taken_away(), encoding="utf-8")
    try:
        done = _tests(protection.row, project)
    finally:
        file.write_text(whole, encoding="utf-8")
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the tests of row {protection.row} did not run:\n{done.stdout}{done.stderr}")
    return FAILED.findall(done.stdout)[0] if done.returncode else None


def _tests(row: int, project: Path) -> subprocess.CompletedProcess[str]:
    folders = ["tests/faults", "tests/security"]
    command = [sys.executable, "-m", "pytest", "-x", "-k", f"row_{row:02}", *folders]
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # a changed file may keep its time and size
    return subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def main() -> int:
    """Run them all; return 1 where no test fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, action="append", help="those of this row only; may be repeated")
    rows = parser.parse_args().row
    chosen = [protection for protection in PROTECTIONS if rows is None or protection.row in rows]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as directory:
        project = copy(Path(directory))
        for protection in chosen:
            began = time.monotonic()
            noticed = play(protection, project)
            unnoticed += noticed is None
            where = noticed or "NO TEST FAILS"
            seconds = time.monotonic() - began
            print(f"{protection.row:>3}  {protection.name:<56} {seconds:4.0f} s  {where}", flush=True)
    print(f"{len(chosen)} protections removed, {unnoticed} unnoticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
