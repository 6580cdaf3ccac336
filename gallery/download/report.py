"""What a download has come to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


class Failure(NamedTuple):
    """One picture that was not had: its address or its name in the archive, and why."""

    source: str
    reason: str


@dataclass(slots=True)
class Report:
    """Counts, and every failure by name.

    Attributes
    ----------
    written, present : int
        Pictures that are new, and pictures that lay there already.
    ignored : int
        Members of an archive that are no pictures by their names.
    bytes : int
        Of the new pictures.
    failed : list of Failure
        What was not had, and why.
    """

    written: int = 0
    present: int = 0
    ignored: int = 0
    bytes: int = 0
    failed: list[Failure] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Pictures that are settled in one way or another."""
        return self.written + self.present + len(self.failed)

    def fail(self, source: str, reason: str) -> None:
        """Note a failure."""
        self.failed.append(Failure(source, reason))

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        values = asdict(self)
        values["failed"] = [failure._asdict() for failure in self.failed]
        return values
