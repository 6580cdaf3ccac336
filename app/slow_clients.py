"""Connections whose requests come too slowly are cut off, so that a few machines cannot keep them all."""

from __future__ import annotations

import time

from waitress.channel import HTTPChannel

PATIENCE = 30.0  # seconds that any request may take to come
MIN_RATE = 1024  # bytes a second, on average, of one that takes longer


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection of Waitress's, which by itself ends only those that are silent."""

    _began: float | None = None
    _bytes = 0

    def received(self, data: bytes) -> bool:
        """Take what has come; close the connection where that is too little for the time it took."""
        taken: bool = super().received(data)
        if self.request is None:  # the last one is complete, and the next has not begun
            self._began, self._bytes = None, 0
            return taken
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        self._bytes += len(data)
        if now - self._began > PATIENCE and self._bytes < MIN_RATE * (now - self._began):
            self.will_close = True
        return taken
