"""How much may come in, and how patiently it is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int | None], None]
"""Called with the pictures that are settled, and how many there are or None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one download.

    Attributes
    ----------
    max_pictures : int
        Entries of a list, or members of an archive.
    max_bytes : int
        Of one picture.
    max_total : int
        Bytes of all pictures, and of the archive itself.
    max_ratio : int
        How many times its own size an archive may unpack to, beyond the first gigabyte.
    workers, per_host : int
        Connections at once, in all and to one server.
    delay : float
        Seconds that each connection rests between two pictures of the same server.
    attempts : int
        For each picture.
    picture_seconds, read_timeout : float
        For one picture, all attempts together; and between two arrivals of data.
    host_patience : float
        Seconds that a server may waste without giving a picture before the rest of its pictures is left.
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
