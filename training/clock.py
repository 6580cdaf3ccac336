"""How long a training has taken and may take."""

from __future__ import annotations

import time
from dataclasses import dataclass

PAUSE = 60.0  # seconds between two readings: what is longer was a pause


class Clock:
    """Counts seconds of work: of a pause, when the process was stopped, a minute at most.

    Parameters
    ----------
    seconds : float
        What earlier runs took.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._read = time.monotonic()

    def read(self) -> float:
        """Return the seconds counted so far; to be called at every step."""
        now = time.monotonic()
        self._seconds += min(now - self._read, PAUSE)
        self._read = now
        return self._seconds


@dataclass(frozen=True)
class Budget:
    """When the training ends: after hours of work, or after steps, which repeat.

    Attributes
    ----------
    hours : float or None
    steps : int or None
    """

    hours: float | None = None
    steps: int | None = None

    def spent(self, step: int, seconds: float) -> float:
        """Share of the budget that is used up."""
        if self.steps is not None:
            return step / self.steps
        if self.hours is None:
            raise ValueError("a budget needs hours or steps")
        return seconds / (self.hours * 3600)
