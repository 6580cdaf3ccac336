"""One picture's trial: the web's check, then everything a worker and an indexer do with it, measured."""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flask import Flask

from app import create_app
from app.errors import RefusalError
from app.uploads import gate
from config import BUNDLED_WEIGHTS, load_settings
from gallery.catalog import THUMBNAIL_SIDE
from gallery.thumbnails import QUALITY
from model import Encoder, load_encoder
from model.errors import PictureError
from model.pictures import open_rgb
from model.pictures.copies import jpeg
from tests.campaigns.fuzz.mutants import Mutant
from worker.jobs import PREVIEW_SIDE

SECONDS = 2.0
MEMORY = 512 << 20
DECODED = "decoded"
STATUS = Path("/proc/self/status")


class Verdict(NamedTuple):
    """The result for one picture.

    `outcome` is ``decoded`` or the code of the refusal; `seconds` is CPU time of all threads, since a clock
    on the wall would measure the machine's other work; `memory` is how far the process grew, in bytes;
    `finding` says what should not have been, and is empty where all was well.
    """

    number: int
    kind: str
    outcome: str
    seconds: float
    memory: int
    finding: str = ""


class Doors:
    """The ways a picture enters the installation, with what they need.

    Parameters
    ----------
    directory : Path
        For the pictures' files and the application's data.
    """

    def __init__(self, directory: Path) -> None:
        self._app: Flask = create_app(load_settings({"DATA_DIR": str(directory), "SECRET_KEY": "x" * 32}))
        self._encoder: Encoder = load_encoder(BUNDLED_WEIGHTS)
        self._directory = directory

    def play(self, mutant: Mutant) -> Verdict:
        """Take one picture in and measure the cost."""
        finding = ""
        grown = _growth()
        began = time.process_time()
        try:
            outcome = self._outcome(mutant.data)
        except Exception:
            outcome, finding = "error", traceback.format_exc()
        seconds, memory = time.process_time() - began, grown()
        if seconds > SECONDS:
            finding += f"{seconds:.2f} s of CPU, more than {SECONDS} s\n"
        if memory > MEMORY:
            finding += f"{memory >> 20} MiB, more than {MEMORY >> 20}\n"
        return Verdict(mutant.number, mutant.kind, outcome, seconds, memory, finding)

    def _outcome(self, data: bytes) -> str:
        try:
            with self._app.app_context():
                gate.receive(io.BytesIO(data), "picture")
            self._search(data)
            self._index(data)
        except RefusalError as error:
            if not 400 <= error.status < 500:
                raise
            return error.code
        except PictureError as error:
            if isinstance(error.__cause__, MemoryError):
                raise  # within MEMORY, everything that passes the header check must decode
            return error.code
        return DECODED

    def _search(self, data: bytes) -> None:
        """Do as `worker.jobs` does: from the stored file."""
        stored = self._directory / f"{os.getpid()}.upload"
        stored.write_bytes(data)
        image = open_rgb(stored)
        self._encoder.prepare(image)
        jpeg(image, PREVIEW_SIDE)

    def _index(self, data: bytes) -> None:
        """Do as `gallery.reading` does: from memory, where decoders take other paths than from a file."""
        image = open_rgb(data)
        jpeg(image, THUMBNAIL_SIDE, QUALITY)


def _growth() -> Callable[[], int]:
    """Start measuring this process's memory; return a function that gives its peak growth in bytes."""
    with contextlib.suppress(
        OSError
    ):  # some containers forbid it; then the peak is that of the process so far
        Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    return lambda: max(0, _resident("VmHWM") - before)


def _resident(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0
