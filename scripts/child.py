"""Runs a command that ends when its parent dies: ``python scripts/child.py PARENT COMMAND...``; stdlib only.

A launcher killed with SIGKILL cannot stop its processes. On Linux the kernel sends them SIGTERM then: the
request is made here, in a program that replaces itself with the command, since code between fork and exec is
not safe in a process with threads. Other systems have no such request.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def command(arguments: list[str]) -> list[str]:
    """Return the command line that runs `arguments` as a child of this process."""
    return [sys.executable, "-I", str(Path(__file__).resolve()), str(os.getpid()), *arguments]


def main() -> None:
    """Ask for the signal, then become the command."""
    parent, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the request
        sys.exit(1)
    os.execvp(arguments[0], arguments)  # noqa: S606 - the command is ours


if __name__ == "__main__":
    main()
