"""Limits of a download: sizes, numbers, connections and times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int | None], None]
"""Called with the number of pictures done, and the number of all pictures or None if it is unknown."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one download.

    Attributes
    ----------
    max_pictures : int
        Entries of a list, or members of an archive.
    max_bytes : int
        Bytes of one picture.
    max_total : int
        Bytes of all pictures, and of the archive itself.
    max_ratio : int
        Size of an unpacked archive as a multiple of its own size, beyond the first gigabyte.
    workers, per_host : int
        Simultaneous connections, in total and to one server.
    delay : float
        Pause of a connection between two pictures of the same server, in seconds.
    attempts : int
        Attempts for each picture.
    picture_seconds, read_timeout : float
        Seconds for one picture in all attempts together, and seconds without any data.
    host_patience : float
        Seconds of unsuccessful attempts after which the rest of a server's pictures is skipped.
    """

    max_pictures: int = 1_000_000
    max_bytes: int = 64 << 20
    max_total: int = 200 << 30
    max_ratio: int = 100
    workers: int = 16
    per_host: int = 4
    delay: float = 0.1
    attempts: int = 3
    picture_seconds: float = 120.0
    read_timeout: float = 20.0
    host_patience: float = 180.0
