"""Which package may import which, seen from fresh processes and from the source."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from config import ROOT

HEAVY = {"numpy", "scipy", "safetensors", "faiss", "tqdm", "zxcvbn"}
# What pages may import of the lower layers: modules that load no NumPy.
LIGHT = (
    "gallery.catalog",
    "gallery.errors",
    "gallery.generations",
    "gallery.locks",
    "gallery.originals",
    "model.config",
    "model.errors",
    "model.files",
    "model.pictures",
    "model.version",
)
ALLOWED = {
    "model": {"model"},
    "gallery": {"gallery", "model"},
    "config": {"model"},
    "app": {"app", "config", "gallery", "model"},
    "worker": {"worker", "app", "model", "gallery", "config"},
    "training": {"training", "gallery", "model"},
    "bench": {"bench", "config", "gallery", "model", "tests"},
    "scripts": {"scripts", "app", "config", "gallery", "model"},
    "wsgi": {"app", "config"},
}
OURS = {*ALLOWED, "migrations", "tests"}


def loaded(statement: str, tmp_path: Path) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    environ = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "a key for tests only", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def files(package: str) -> list[Path]:
    single = ROOT / f"{package}.py"
    return [single] if single.exists() else sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def every_module() -> frozenset[str]:
    return frozenset(module_of(path) for package in OURS for path in files(package))


@cache
def imports(path: Path, *, deferred: bool) -> frozenset[str]:
    """Modules of ours that a file imports; `deferred` counts imports inside functions as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if deferred else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in every_module() else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(name for name in found if name.split(".")[0] in OURS)


def top(name: str) -> str:
    return name.split(".")[0]


def order(edges: Iterable[tuple[str, str]]) -> None:
    """Raise CycleError where the arrows lead back to their beginning."""
    graph: dict[str, set[str]] = {}
    for source, target in edges:
        if source != target:
            graph.setdefault(source, set()).add(target)
    graphlib.TopologicalSorter(graph).prepare()


def module_edges(package: str) -> Iterator[tuple[str, str]]:
    for path in files(package):
        for name in imports(path, deferred=True):
            if top(name) == package and name != package:
                yield module_of(path), name


def test_the_web_process_loads_nothing_heavy(tmp_path: Path) -> None:
    modules = loaded("import wsgi", tmp_path)
    assert not {top(name) for name in modules} & HEAVY
    assert not modules & {"model.network.vit", "model.encoder", "gallery.store", "gallery.indexing"}
    assert not {name for name in modules if top(name) in ("worker", "training")}


@pytest.mark.parametrize("package", ["model", "gallery"])
def test_the_lower_layers_load_no_web_framework(package: str, tmp_path: Path) -> None:
    every = "\n".join(f"import {module_of(path)}" for path in files(package))
    modules = {top(name) for name in loaded(every, tmp_path)}
    assert not modules & {"flask", "sqlalchemy", "rq", "redis", "app", "worker", "config"}


def test_pictures_are_opened_without_numpy(tmp_path: Path) -> None:
    every = "\n".join(f"import {module_of(path)}" for path in files("model/pictures"))
    assert not {top(name) for name in loaded(every, tmp_path)} & HEAVY


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_downwards_only(package: str) -> None:
    for path in files(package):
        assert {top(name) for name in imports(path, deferred=True)} <= ALLOWED[package], path


@pytest.mark.parametrize("package", ["app", "gallery", "model", "training", "worker"])
def test_no_module_imports_itself_by_a_detour(package: str) -> None:
    order(module_edges(package))


@pytest.mark.parametrize("package", ["app", "gallery", "model"])
def test_no_package_imports_itself_by_a_detour(package: str) -> None:
    """Between the packages inside one, such as `app.searches`; the factory in ``__init__.py`` knows all."""
    inner = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()}

    def package_of(module: str) -> str:
        parts = module.split(".")
        return ".".join(parts[:2]) if len(parts) > 1 and parts[1] in inner else module

    order(
        (package_of(source), package_of(target))
        for source, target in module_edges(package)
        if source != package
    )


def test_a_cycle_is_noticed() -> None:
    with pytest.raises(graphlib.CycleError):
        order([("a", "b"), ("b", "c"), ("c", "a")])


def test_pages_import_of_the_lower_layers_only_what_is_light() -> None:
    for path in files("app"):
        if "cli" in path.parts:
            continue
        # `app.encoder` serves commands and the worker, and imports the encoder inside its function.
        for name in imports(path, deferred=path.name != "encoder.py"):
            assert top(name) in ("app", "config") or name.startswith(LIGHT), f"{path}: {name}"


def test_commands_load_what_is_heavy_only_when_they_run() -> None:
    light = (*LIGHT, "model.checkpoints.registry", "model.transfer")
    for path in files("app/cli"):
        for name in imports(path, deferred=False):
            assert top(name) in ("app", "config") or name.startswith(light), f"{path}: {name}"
