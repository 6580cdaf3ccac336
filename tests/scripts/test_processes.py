from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from scripts import processes as module
from scripts.processes import GivenUpError, Processes, read_procfile
from tests.support.servers import ROOT
from tests.support.waiting import eventually

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"


def test_the_procfile_runs_web_and_worker_with_this_python() -> None:
    assert read_procfile(ROOT / "Procfile") == {
        "web": [sys.executable, "wsgi.py"],
        "worker": [sys.executable, "-m", "worker"],
    }


def test_comments_and_quotes_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# web: no\n\nweb: serve --name 'a b'\n")
    assert read_procfile(file) == {"web": ["serve", "--name", "a b"]}


def test_output_is_passed_on_with_the_process_name(capfd: pytest.CaptureFixture[str]) -> None:
    processes = Processes({})
    processes.start("web", [sys.executable, "-c", "import sys; print('one'); print('two', file=sys.stderr)"])
    assert processes.wait(10.0)
    assert sorted(capfd.readouterr().out.splitlines()) == ["web    | one", "web    | two"]


def test_a_process_that_ignores_sigterm_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    processes = Processes({})
    processes.start("web", [sys.executable, "-c", STUBBORN])
    eventually(lambda: "up" in capfd.readouterr().out)
    processes.signal(signal.SIGTERM)
    assert not processes.wait(0.2)
    processes.kill()
    assert processes.wait(0.0)


def test_a_process_that_keeps_dying_is_given_up(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    processes = Processes({})
    processes.start("web", [sys.executable, "-c", "print('started'); raise SystemExit(3)"])

    def given_up() -> str:
        try:
            processes.revive()
        except GivenUpError as error:
            return str(error)
        return ""

    assert "web ended 5 times in a row, the last time with status 3" in eventually(given_up)
    processes.kill()
    assert capfd.readouterr().out.count("web    | started") == 5


def test_a_death_after_a_long_life_counts_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "STABLE_SECONDS", 0.0)
    processes = Processes({})
    processes.start("web", [sys.executable, "-c", ""])
    started = set()
    for _ in range(2 * module.MAX_DEATHS):
        eventually(lambda: processes.revive() or processes.pids()["web"] not in started)
        started.add(processes.pids()["web"])
    processes.kill()
