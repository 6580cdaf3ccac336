"""Close connections that send their requests too slowly, so that a few clients cannot occupy all of them.

Used by `app.server` as Waitress's channel class.
"""

from __future__ import annotations

import time

from waitress.channel import HTTPChannel

PATIENCE = 30.0  # seconds that any request may take to arrive
MIN_RATE = 1024  # bytes per second on average, for requests that take longer


class Channel(HTTPChannel):  # type: ignore[misc]
    """A Waitress connection; Waitress itself closes only connections that are silent."""

    _began: float | None = None
    _bytes = 0

    def received(self, data: bytes) -> bool:
        """Handle received data, and close the connection if too little has arrived so far."""
        handled: bool = super().received(data)
        if self.request is None:  # the last request is complete and the next has not begun
            self._began, self._bytes = None, 0
            return handled
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        self._bytes += len(data)
        if now - self._began > PATIENCE and self._bytes < MIN_RATE * (now - self._began):
            self.will_close = True
        return handled
