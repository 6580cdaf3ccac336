"""Result of a download; filled by `archives`, `fetcher` and `urllist`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


class Failure(NamedTuple):
    """A picture that failed: its address or its name in the archive, and the reason."""

    source: str
    reason: str


@dataclass(slots=True)
class Report:
    """Counts, and every failure by name.

    Attributes
    ----------
    written, present : int
        Number of new pictures, and of pictures that existed already.
    ignored : int
        Number of archive members whose names are not those of pictures.
    bytes : int
        Total size of the new pictures.
    failed : list of Failure
        Failures with the reason.
    """

    written: int = 0
    present: int = 0
    ignored: int = 0
    bytes: int = 0
    failed: list[Failure] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Number of pictures that are done: new, present or failed."""
        return self.written + self.present + len(self.failed)

    def fail(self, source: str, reason: str) -> None:
        """Add a failure."""
        self.failed.append(Failure(source, reason))

    def as_dict(self) -> dict[str, Any]:
        """Return all values for JSON."""
        values = asdict(self)
        values["failed"] = [failure._asdict() for failure in self.failed]
        return values
