"""The test's side of `gated_worker.py`: searches wait half-way until the test lets them pass."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tests.support.waiting import eventually


class Gate:
    """Where the searches of a gated worker wait for the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.environ = {"GATE": str(directory)}

    def waiting(self) -> set[int]:
        """Ids of the processes that have reached the gate, including those that have ended since."""
        return {int(file.name.partition("-")[2]) for file in self.directory.glob("encoding-*")}

    def arrival(self, known: Collection[int] = ()) -> int:
        """Wait for a process that is not among `known`."""
        return eventually(lambda: self.waiting() - set(known)).pop()

    def let_pass(self, pid: int) -> None:
        """Let one process pass."""
        (self.directory / f"open-{pid}").touch()

    def open(self) -> None:
        """Let all processes pass from now on."""
        (self.directory / "open").touch()
