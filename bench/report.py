"""Tables of figures as Markdown, with a description of the machine."""

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
    """One figure: its name, our value, the peer's, the ratio of the two, and the target."""

    figure: str
    ours: str
    peer: str = ""
    ratio: str = ""
    target: str = ""

    @classmethod
    def of(cls, figure: str, pair: Pair, peer: str, target: str = "") -> Row:
        """Return the row of a comparison of times."""
        return cls(
            figure, milliseconds(pair.ours), f"{peer} {milliseconds(pair.peer)}", f"{pair.ratio:.2f}", target
        )


def milliseconds(seconds: float) -> str:
    """Format a time with three digits."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:,.0f} ms"


@dataclass
class Report:
    """Rows by section, printed as they are added."""

    sections: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, section: str, row: Row) -> None:
        """Add a row and print it at once, since a run takes minutes."""
        self.sections.setdefault(section, []).append(row)
        print(
            f"{section:12} {row.figure:62} {row.ours:>14} {row.peer:>24} {row.ratio:>8} {row.target:>10}",
            flush=True,
        )

    def markdown(self) -> dict[str, str]:
        """Return the table of each section, with a line about the machine before it."""
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
        """Replace the measured sections in a document, and keep the others and the text around them."""
        text = path.read_text()
        pattern = re.compile(re.escape(BEGIN) + "(.*?)" + re.escape(END), re.DOTALL)
        found = pattern.search(text)
        if not found:
            raise SystemExit(f"{path} has no line {BEGIN!r}, so nothing was written")
        before = [part.strip() + "\n" for part in re.split(r"^(?=### )", found[1], flags=re.MULTILINE)]
        tables = {part[4:].partition("\n")[0]: part for part in before if part.startswith("### ")}
        measured = "\n".join((tables | self.markdown()).values())
        path.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{measured}\n{END}", text))


def machine() -> str:
    """Describe the processor, its cores, the system, and the BLAS library."""
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
