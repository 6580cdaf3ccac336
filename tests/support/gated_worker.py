"""The worker with an encoder that waits, so that a test can intervene in the middle of a search.

``python -m tests.support.gated_worker``: in the folder ``GATE`` the encoder leaves a file ``encoding-<pid>``,
and continues when the file ``open`` or ``open-<pid>`` exists. ``HANG`` makes it misbehave in another way
instead; ``LEASE`` shortens the leases to that many seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from worker import jobs, runtime, searcher
from worker.__main__ import main

GATE = Path(os.environ["GATE"])


class GatedEncoder:
    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, images: Any) -> Any:
        (GATE / f"encoding-{os.getpid()}").touch()
        HANGS[os.environ.get("HANG", "gate")]()
        return self._encoder.encode(images)


def wait_at_gate() -> None:
    doors = [GATE / "open", GATE / f"open-{os.getpid()}"]
    while not any(door.exists() for door in doors):
        time.sleep(0.01)


def swallow() -> None:
    while True:
        with contextlib.suppress(Exception):  # as careless code does
            wait_at_gate()


def hang_in_c() -> None:
    hashlib.pbkdf2_hmac("sha256", b"", b"", (1 << 31) - 1)


def eat_memory() -> None:
    np.ones(1 << 33, np.uint8)


HANGS = {"gate": wait_at_gate, "swallow": swallow, "c": hang_in_c, "memory": eat_memory}


if __name__ == "__main__":
    if lease := os.environ.get("LEASE"):
        jobs.LEASE_SECONDS = searcher.LEASE_SECONDS = float(lease)
        searcher.HEARTBEAT = 1
    encoder_in_use = runtime.encoder_in_use
    runtime.encoder_in_use = lambda: GatedEncoder(encoder_in_use())
    sys.exit(main())
