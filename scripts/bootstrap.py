"""Make the virtual environment and install the locked, hashed dependencies; stdlib only.

Run by make with whatever Python 3 is there (3.8 suffices to read this file); it looks for a 3.11 or newer
itself. The second time it does nothing: a stamp in the environment holds the hash of the installed lock file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.ports import port_problem

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PEERS = ROOT / ".venv-peers"
RUN_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
PEERS_REQUIREMENTS = ROOT / "bench" / "requirements.txt"
STAMP = "installed.json"
# 3.12 and 3.11 first: for them every dependency has a wheel, a Redis server among them.
CANDIDATES = ("python3.12", "python3.11", "python3", "python3.13", "python3.14", "python")
_PROBE = "import sys, ensurepip, venv; sys.exit(0 if sys.version_info >= (3, 11) else 3)"
_NO_ENSUREPIP = 1
_PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "--only-binary=:all:", "--retries=2")


class SetupError(RuntimeError):
    """The environment cannot be made; the message is one line with the mend."""


def find_python(chosen: str) -> str:
    """Return a Python 3.11 or newer that can make environments; if `chosen` (PYTHON=...) is given, only that.

    Raises
    ------
    SetupError
        There is none, or it lacks ensurepip.
    """
    lacking = None
    for candidate in (chosen,) if chosen else CANDIDATES:
        path = shutil.which(candidate)
        if path is None:
            continue
        status = subprocess.run([path, "-c", _PROBE], stderr=subprocess.DEVNULL, check=False).returncode
        if status == 0:
            return path
        if status == _NO_ENSUREPIP:
            lacking = lacking or candidate
    if lacking:
        raise SetupError(f"{lacking} lacks the venv module: apt-get install python3-venv (Debian, Ubuntu)")
    if chosen:
        raise SetupError(f"PYTHON={chosen} is not a Python 3.11 or newer")
    raise SetupError(
        "Python 3.11 or newer was not found: install it (apt-get install python3 python3-venv, or"
        " https://www.python.org/downloads/) or name one: PYTHON=/path/to/python3.11 make run"
    )


def make_environment(environment: Path, chosen: str) -> Path:
    """Make the environment unless a working one is there; return its Python."""
    python = environment / "bin" / "python"
    if python.exists() and _runs([str(python), "-m", "pip", "--version"]):
        return python
    base = find_python(chosen)
    print(f"Making the virtual environment {_short(environment)} with {base}", flush=True)
    if subprocess.run([base, "-m", "venv", "--clear", str(environment)], check=False).returncode != 0:
        raise SetupError(f"{_short(environment)} could not be made (see above); is the disk full?")
    return python


def install(environment: Path, lock: Path, chosen: str, *, hashed: bool = True) -> None:
    """Install what `lock` pins, unless the stamp says that it is there."""
    if _installed(environment, lock):
        return
    python = make_environment(environment, chosen)
    print(f"Installing the packages of {lock.name} (a few minutes the first time)", flush=True)
    command = [str(python), "-m", "pip", "install", *_PIP_OPTIONS, "--requirement", str(lock)]
    if subprocess.run([*command, *(["--require-hashes"] if hashed else [])], check=False).returncode != 0:
        raise SetupError(
            "packages could not be installed (pip's reason is above): check the network, the proxy"
            " (HTTPS_PROXY), the mirror (PIP_INDEX_URL) and the disk, then run the same command again"
        )
    stamp = environment / STAMP
    stamp.write_text(json.dumps({**_read(stamp), lock.name: _digest(lock)}))


def main() -> int:
    """Run from the command line; the exit status says whether the environment is ready."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="what the tests and checks need as well")
    parser.add_argument("--peers", action="store_true", help="an environment of its own for bench and parity")
    parser.add_argument("--serve", action="store_true", help="say first if the web server's port is taken")
    options = parser.parse_args()
    chosen = os.environ.get("PYTHON", "")
    try:
        if options.serve and (problem := _port_problem()):
            raise SetupError(problem)
        if options.peers:
            install(PEERS, DEV_LOCK, chosen)
            install(PEERS, PEERS_REQUIREMENTS, chosen, hashed=False)
        else:
            install(ENVIRONMENT, DEV_LOCK if options.dev else RUN_LOCK, chosen)
    except SetupError as error:
        print(f"vitrine: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"vitrine: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _installed(environment: Path, lock: Path) -> bool:
    stamp = _read(environment / STAMP)
    # What the tests need holds all that a run needs, at the same versions.
    covering = (lock, DEV_LOCK) if lock == RUN_LOCK else (lock,)
    return (environment / "bin" / "python").exists() and any(
        stamp.get(each.name) == _digest(each) for each in covering
    )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read(stamp: Path) -> dict[str, str]:
    try:
        content = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _port_problem() -> str | None:
    """Look at the environment only: `.env` and senseless values are for `config.py`, later."""
    port = os.environ.get("PORT", "").strip() or "8000"
    if not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return port_problem(os.environ.get("HOST", "").strip() or "127.0.0.1", int(port))


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


if __name__ == "__main__":
    sys.exit(main())
