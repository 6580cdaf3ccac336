"""What the package loads, seen from a new process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import model",
        "import model.pictures",
        "import model.errors, model.fingerprint, model.checkpoints.registry",
    ],
)
def test_modules_that_the_web_process_imports_load_no_numpy(statement: str) -> None:
    modules = loaded_by(statement)

    assert not modules & {"numpy", "scipy", "model.network.vit", "model.encoder"}


def test_plug_ins_are_loaded_before_the_first_picture() -> None:
    """Otherwise each process that is forked for a search would load them again."""
    write = (
        "from PIL import Image; from model.pictures import copies; copies.jpeg(Image.new('RGB', (8, 8)), 8)"
    )
    before, after = loaded_by("import model.pictures"), loaded_by(write)

    assert [name for name in sorted(after - before) if name.endswith("Plugin")] == []


def test_the_model_imports_nothing_of_the_layers_above() -> None:
    modules = loaded_by("import model.encoder, model.checkpoints.convert, model.compare, model.bench")

    above = {"gallery", "app", "worker", "config", "flask", "sqlalchemy", "rq", "redis", "torch"}
    assert not {name.partition(".")[0] for name in modules} & above


def test_an_unknown_name_is_an_attribute_error() -> None:
    import model

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = model.nothing
    assert all(hasattr(model, name) for name in model.__all__)
