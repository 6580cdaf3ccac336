"""Runs ``pip install`` with its progress as a step, and its errors in full; stdlib only."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import IO

from scripts.steps import Step

OPTIONS = ("--disable-pip-version-check", "--no-input", "--only-binary=:all:", "--retries=2")
_TICK = 0.2  # seconds
_WARNINGS = 10  # lines of pip's warnings before its first error, which often name the cause


class Install:
    """One run of pip.

    Parameters
    ----------
    environment : Path
        The virtual environment.
    requirements : Path
        The lock file.
    hashed : bool
        Whether the file has hashes.
    """

    def __init__(self, environment: Path, requirements: Path, *, hashed: bool) -> None:
        python = environment / "bin" / "python"
        self._command = [
            *(str(python), "-m", "pip", "install", "--progress-bar=off", *OPTIONS),
            *("--requirement", str(requirements), *(["--require-hashes"] if hashed else [])),
        ]
        self._environment = environment
        self._total = sum(
            "==" in line for line in requirements.read_text().splitlines() if line[:1].isalpha()
        )
        self._found = 0
        self._package = ""
        self._installing = False
        self._errors: list[str] = []

    def run(self, step: Step) -> bool:
        """Install; return whether that succeeded."""
        before = self._installed()
        process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
        )
        threads = [
            threading.Thread(target=self._read_output, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(process.stderr,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        started = time.monotonic()
        try:
            while process.poll() is None:
                step.update(f"{self._state(before)} ({time.monotonic() - started:.0f} s)")
                time.sleep(_TICK)
        finally:
            process.wait()  # on Ctrl-C, pip has received the signal as well
        for thread in threads:
            thread.join(1.0)
        return process.returncode == 0

    def count(self) -> int:
        """Return the number of packages that the file pins for this Python."""
        return self._total

    def errors(self) -> str:
        """Return pip's errors, with the warnings that came before."""
        first = next(
            (n for n, line in enumerate(self._errors) if line.startswith("ERROR")), len(self._errors)
        )
        return "\n".join(self._errors[max(0, first - _WARNINGS) :])

    def _state(self, before: int) -> str:
        if self._installing:
            return f"installing {max(0, self._installed() - before)}/{self._total}"
        waiting = ", no answer, retrying" if self._retrying() else ""
        return f"downloading {self._found}/{self._total} {self._package}{waiting}"

    def _retrying(self) -> bool:
        return bool(self._errors) and "Retrying" in self._errors[-1]

    def _installed(self) -> int:
        return sum(1 for _ in self._environment.glob("lib/python*/site-packages/*.dist-info"))

    def _read_output(self, output: IO[str]) -> None:
        with output:
            for line in output:
                if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                    self._found += 1
                    self._package = line.split(": " if line[0] == "R" else " ", 1)[1].split("==")[0].strip()
                elif line.startswith("Ignoring "):  # for another platform or Python
                    self._total -= 1
                elif line.startswith("Installing collected packages"):
                    self._installing = True

    def _read_errors(self, errors: IO[str]) -> None:
        with errors:
            for line in errors:
                if line.rstrip() not in self._errors:
                    self._errors.append(line.rstrip())
