"""One table of figures, as Markdown, with the machine it was measured on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path

from bench.pairs import Pair

BEGIN, END = "<!-- measured by `make bench`: begin -->", "<!-- measured by `make bench`: end -->"


@dataclass
class Row:
    """One figure: what was measured, ours, the peer's, their ratio and what was to be reached."""

    figure: str
    ours: str
    peer: str = ""
    ratio: str = ""
    target: str = ""

    @classmethod
    def of(cls, figure: str, pair: Pair, peer: str, target: str = "") -> Row:
        """Make the row of a comparison of times."""
        return cls(
            figure, milliseconds(pair.ours), f"{peer} {milliseconds(pair.peer)}", f"{pair.ratio:.2f}", target
        )


def milliseconds(seconds: float) -> str:
    """Write a time with three digits."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:,.0f} ms"


@dataclass
class Report:
    """Rows by section, printed as they come."""

    sections: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, section: str, row: Row) -> None:
        """Add one row and show it at once: a run takes minutes."""
        self.sections.setdefault(section, []).append(row)
        print(
            f"{section:12} {row.figure:62} {row.ours:>14} {row.peer:>24} {row.ratio:>8} {row.target:>10}",
            flush=True,
        )

    def markdown(self) -> dict[str, str]:
        """Return each section's table, headed by the machine."""
        tables = {}
        for section, rows in self.sections.items():
            lines = [f"### {section}", "", f"{machine()}.", ""]
            lines += ["| figure | ours | peer | ratio | target |", "| --- | --- | --- | --- | --- |"]
            lines += [
                f"| {row.figure} | {row.ours} | {row.peer} | {row.ratio} | {row.target} |" for row in rows
            ]
            tables[section] = "\n".join(lines) + "\n"
        return tables

    def write(self, path: Path) -> None:
        """Put the sections that were measured into a document; others, and the words around, stay."""
        text = path.read_text()
        pattern = re.compile(re.escape(BEGIN) + "(.*?)" + re.escape(END), re.DOTALL)
        found = pattern.search(text)
        if not found:
            raise SystemExit(f"{path} has no line {BEGIN!r}; nothing was written")
        before = [part.strip() + "\n" for part in re.split(r"^(?=### )", found[1], flags=re.MULTILINE)]
        tables = {part[4:].partition("\n")[0]: part for part in before if part.startswith("### ")}
        measured = "\n".join((tables | self.markdown()).values())
        path.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{measured}\n{END}", text))


def machine() -> str:
    """Describe processor, cores, system and the library that does the products."""
    import numpy
    import threadpoolctl

    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
        processor = re.search(r"model name\s*: (.*)", cpuinfo)
    except OSError:
        processor = None
    name = processor.group(1) if processor else platform.processor() or platform.machine()
    pools = threadpoolctl.threadpool_info()
    blas = next((pool for pool in pools if "numpy" in pool["filepath"]), {})
    library = f"{blas.get('internal_api', 'BLAS')} {blas.get('version', '')}, {blas.get('architecture', '?')}"
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{name}, {os.cpu_count()} cores; {system}, NumPy {numpy.__version__} ({library} kernels)"
