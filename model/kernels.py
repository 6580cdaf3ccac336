"""Which of its kernels OpenBLAS uses.

OpenBLAS chooses by the processor's family when NumPy loads it. The OpenBLAS in NumPy's wheels does not know
AMD's family 26 (Zen 5) and takes kernels for AVX2, at 0.6 of the speed that the AVX-512 ones reach there
(docs/performance.md). It can be told by an environment variable, but only before NumPy is imported.

References
----------
.. [1] https://github.com/OpenMathLib/OpenBLAS/pull/6033 knows the family; once it is in NumPy's wheels, this
   module can go.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
_ZEN_5 = ("AuthenticAMD", "26")
_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


def choose_kernels(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Tell OpenBLAS to use AVX-512 where it would not notice; a choice already made stays.

    Parameters
    ----------
    cpuinfo : Path
        Linux's description of the processors; where there is none, nothing is chosen.
    """
    if VARIABLE in os.environ or "numpy" in sys.modules:
        return
    try:
        processor = cpuinfo.read_text().split("\n\n", 1)[0]
    except OSError:
        return
    fields = dict(line.split(":", 1) for line in processor.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in fields.items()}
    known = (facts.get("vendor_id"), facts.get("cpu family"))
    if known == _ZEN_5 and _AVX512.issubset(facts.get("flags", "").split()):
        os.environ[VARIABLE] = "SkylakeX"
