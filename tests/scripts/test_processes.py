from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from scripts.processes import Processes, read_procfile
from tests.support.servers import ROOT
from tests.support.waiting import eventually

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"


def test_the_procfile_names_web_and_worker_run_by_this_python() -> None:
    assert read_procfile(ROOT / "Procfile") == {
        "web": [sys.executable, "wsgi.py"],
        "worker": [sys.executable, "-m", "worker"],
    }


def test_comments_and_quotes_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# web: no\n\nweb: serve --name 'a b'\n")
    assert read_procfile(file) == {"web": ["serve", "--name", "a b"]}


def test_output_is_passed_on_under_the_process_name(capfd: pytest.CaptureFixture[str]) -> None:
    processes = Processes({})
    processes.start("web", [sys.executable, "-c", "import sys; print('one'); print('two', file=sys.stderr)"])
    assert processes.wait(10.0)
    assert processes.ended() == ("web", 0)
    assert sorted(capfd.readouterr().out.splitlines()) == ["web    | one", "web    | two"]


def test_what_does_not_obey_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    processes = Processes({})
    processes.start("web", [sys.executable, "-c", STUBBORN])
    eventually(lambda: "up" in capfd.readouterr().out)
    processes.signal(signal.SIGTERM)
    assert not processes.wait(0.2)
    processes.kill()
    assert processes.ended() == ("web", -signal.SIGKILL)
