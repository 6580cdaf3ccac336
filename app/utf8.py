"""File names as UTF-8, whatever the locale: the names in an index must not depend on who starts a process.

Called first by every entry point; standard library alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import PurePath


def ensure() -> None:
    """Start this process again in Python's UTF-8 mode unless its file names are UTF-8 already."""
    if not _is_utf8():
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same command


def ensure_on_import() -> None:
    """Do the same for the ``flask`` command; refuse to be imported by any other program, such as a server.

    Raises
    ------
    SystemExit
        The message names the variable to set.
    """
    if "flask" in PurePath(sys.argv[0]).parts[-2:]:
        ensure()
    elif not _is_utf8():
        encoding = sys.getfilesystemencoding()
        sys.exit(f"vitrine: this locale's file names are {encoding}, not UTF-8; set PYTHONUTF8=1")


def _is_utf8() -> bool:
    return sys.getfilesystemencoding() == "utf-8"
