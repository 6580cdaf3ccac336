"""OpenBLAS is told about processors that it does not know, before NumPy loads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ZEN_5 = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model name\t: AMD EPYC
flags\t\t: fpu sse2 avx2 avx512f avx512dq avx512cd avx512bw avx512vl

processor\t: 1
vendor_id\t: AuthenticAMD
"""
CHOICE = """
import os, sys
from pathlib import Path
os.environ.pop("OPENBLAS_CORETYPE", None)
if sys.argv[2:]:
    os.environ["OPENBLAS_CORETYPE"] = sys.argv[2]
from model import kernels
if not sys.argv[2:]:
    os.environ.pop("OPENBLAS_CORETYPE", None)
kernels.choose_kernels(Path(sys.argv[1]))
print(os.environ.get("OPENBLAS_CORETYPE", "none"))
"""


def choose(tmp_path: Path, cpuinfo: str, *already: str) -> str:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    return _run(CHOICE, str(tmp_path / "cpuinfo"), *already)


def _run(code: str, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_zen_5_gets_the_avx512_kernels(tmp_path: Path) -> None:
    assert choose(tmp_path, ZEN_5) == "SkylakeX"


@pytest.mark.parametrize(
    "cpuinfo",
    [
        ZEN_5.replace("cpu family\t: 26", "cpu family\t: 25"),
        ZEN_5.replace("AuthenticAMD", "GenuineIntel"),
        ZEN_5.replace("avx512vl", ""),
        "",
        "model name : ARMv8\n",
    ],
)
def test_other_processors_are_left_to_openblas(tmp_path: Path, cpuinfo: str) -> None:
    assert choose(tmp_path, cpuinfo) == "none"


def test_the_choice_of_the_user_stays(tmp_path: Path) -> None:
    assert choose(tmp_path, ZEN_5, "Haswell") == "Haswell"


def test_a_system_without_cpuinfo_is_left_alone(tmp_path: Path) -> None:
    assert _run(CHOICE, str(tmp_path / "missing")) == "none"


@pytest.mark.parametrize("first", ["model", "gallery"])
def test_the_choice_comes_before_numpy_whichever_room_is_entered_first(first: str) -> None:
    code = (
        f"import sys; import {first}; assert 'numpy' not in sys.modules; assert 'model.kernels' in sys.modules\n"
        "from gallery import Store\nfrom model import load_encoder\nassert 'numpy' in sys.modules\nprint('ok')"
    )
    assert _run(code) == "ok"
