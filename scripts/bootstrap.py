"""Creates the virtual environment and installs the locked, hashed dependencies; stdlib only.

Make runs it with any Python 3.8 or newer, and it looks for a Python 3.11 or newer itself. Once installed, it
does nothing: a file in the environment holds the hash of the installed lock file.
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

from scripts.pip import Install
from scripts.ports import port_problem
from scripts.steps import Step

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PEERS = ROOT / ".venv-peers"
RUN_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
PEERS_REQUIREMENTS = ROOT / "bench" / "requirements.txt"
STAMP = "installed.json"
# 3.12 and 3.11 first: for them every dependency has a wheel, including a Redis server.
CANDIDATES = ("python3.12", "python3.11", "python3", "python3.13", "python3.14", "python")
_PROBE = "import sys, ensurepip, venv; sys.exit(0 if sys.version_info >= (3, 11) else 3)"
_NO_ENSUREPIP = 1


class SetupError(RuntimeError):
    """The environment cannot be created; the message says how to fix it."""


def find_python(chosen: str) -> str:
    """Return a Python 3.11 or newer that can create environments: `chosen` (PYTHON=...) or the first found.

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
        raise SetupError(f"PYTHON={chosen} is not Python 3.11 or newer")
    raise SetupError(
        "Python 3.11 or newer was not found: install it (apt-get install python3 python3-venv, or"
        " https://www.python.org/downloads/) or choose one: PYTHON=/path/to/python3.11 make run"
    )


def make_environment(environment: Path, chosen: str) -> Path:
    """Create the environment unless a working one exists; return its Python."""
    python = environment / "bin" / "python"
    if python.exists() and _runs([str(python), "-m", "pip", "--version"]):
        return python
    base = find_python(chosen)
    with Step("Environment") as step:
        step.update(f"creating {_short(environment)} with {base}")
        made = subprocess.run(
            [base, "-m", "venv", "--clear", str(environment)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise SetupError(f"{_short(environment)} could not be created; is the disk full?\n{made.stdout}")
        step.finish(f"{_short(environment)}, created with {base}")
    return python


def install(environment: Path, lock: Path, chosen: str, *, hashed: bool = True) -> None:
    """Install the packages that `lock` pins, unless the stamp shows that they are installed."""
    if _installed(environment, lock):
        return
    make_environment(environment, chosen)
    pip = Install(environment, lock, hashed=hashed)
    with Step("Packages") as step:
        if not sys.stdout.isatty():
            step.finish(f"installing those of {lock.name}; this takes a few minutes the first time")
        installed = pip.run(step)
        if installed:
            step.finish(f"{pip.count()} installed")
    if not installed:
        raise SetupError(
            f"the packages could not be installed. pip reports:\n\n{pip.errors()}\n\n"
            "Check the network, the proxy (HTTPS_PROXY), the mirror (PIP_INDEX_URL) and the disk, then run"
            " the same command again."
        )
    stamp = environment / STAMP
    stamp.write_text(json.dumps({**_read(stamp), lock.name: _digest(lock)}))


def main() -> int:
    """Create the environment; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also install what tests and checks need")
    parser.add_argument("--peers", action="store_true", help="a separate environment for bench and parity")
    parser.add_argument(
        "--serve", action="store_true", help="before a long installation, check that the port is free"
    )
    options = parser.parse_args()
    chosen = os.environ.get("PYTHON", "")
    try:
        if options.serve and not _installed(ENVIRONMENT, RUN_LOCK) and (problem := _port_problem()):
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
    # requirements-dev.lock contains requirements.lock, with the same versions.
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
    """Check the port in the environment; `config.py` reads `.env` and reports invalid values later."""
    port = os.environ.get("PORT", "").strip() or "8000"
    if not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return port_problem(os.environ.get("HOST", "").strip() or "127.0.0.1", int(port))


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


if __name__ == "__main__":
    sys.exit(main())
