"""Who may know whom, seen from processes that have loaded nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT

HEAVY = {"numpy", "scipy", "safetensors", "faiss", "tqdm", "zxcvbn"}
LIGHT = {"config", "gallery.catalog", "gallery.errors", "model.pictures", "model.errors", "model.registry"}
ALLOWED = {
    "model": {"model"},
    "model/training": {"model", "gallery"},
    "gallery": {"gallery", "model"},
    "worker": {"worker", "app", "model", "gallery", "config"},
    "app": {"app", "config", "gallery", "model"},
}
TRAINING = "model/training"
ROOMS = {"app", "config", "gallery", "migrations", "model", "scripts", "tests", "worker", "wsgi"}


def loaded(statement: str, tmp_path: Path) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    environ = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "a key for tests only", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def imports(path: Path, *, deferred: bool) -> set[str]:
    """Modules of ours that a file imports; `deferred` counts those inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if deferred else iter(tree.body)
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ROOMS}


def files(room: str) -> list[Path]:
    """The files of a room; what trains models needs PyTorch and lies in a room of its own within `model`."""
    found = sorted((ROOT / room).rglob("*.py"))
    return found if room == TRAINING else [path for path in found if (ROOT / TRAINING) not in path.parents]


def test_the_web_process_loads_nothing_heavy(tmp_path: Path) -> None:
    modules = loaded("import wsgi", tmp_path)
    assert not {name.split(".")[0] for name in modules} & HEAVY
    assert not modules & {"model.vit", "model.encoder", "gallery.store", "gallery.indexing"}
    assert not {name for name in modules if name.split(".")[0] == "worker"}


@pytest.mark.parametrize("room", ["model", "gallery"])
def test_the_lower_rooms_know_no_web(room: str, tmp_path: Path) -> None:
    every = "\n".join(
        f"import {'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')}"
        for path in files(room)
    )
    modules = {name.split(".")[0] for name in loaded(every, tmp_path)}
    assert not modules & {"flask", "sqlalchemy", "rq", "redis", "app", "worker", "config"}


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_downwards_only(room: str) -> None:
    for path in files(room):
        rooms = {name.split(".")[0] for name in imports(path, deferred=True)}
        assert rooms <= ALLOWED[room], path


def test_pages_import_of_the_lower_rooms_only_what_is_light() -> None:
    for path in files("app"):
        if "cli" in path.parts:
            continue
        for name in imports(path, deferred=True):
            modules = {name, name.rpartition(".")[0]}
            assert modules & LIGHT or name.split(".")[0] == "app", f"{path}: {name}"


def test_commands_load_what_is_heavy_only_when_they_run() -> None:
    for path in files("app/cli"):
        for name in imports(path, deferred=False):
            assert name.split(".")[0] in ("app", "config") or name.startswith(
                ("model.errors", "model.registry", "model.transfer", "gallery.errors")
            ), f"{path}: {name}"


def test_nothing_needs_what_trains_models() -> None:
    for room in ("app", "gallery", "model", "scripts", "worker", "migrations"):
        for path in files(room):
            assert not any(name.startswith("model.training") for name in imports(path, deferred=True)), path
