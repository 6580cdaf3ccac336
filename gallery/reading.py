"""From a file to what the encoder takes: read, hash, decode, thumbnail, prepare; in several threads."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery.scanning import Found
from gallery.thumbnails import Thumbnails
from model.errors import PictureError
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo, probe

MAX_FILE_BYTES = 512 * 1024 * 1024


class Encoder(Protocol):
    """What the gallery asks of an encoder; `model.Encoder` is one."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What makes its vectors comparable."""

    def decode(self, source: bytes) -> Image.Image:
        """Decode a picture to RGB, perhaps smaller than it is."""

    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        """Turn an RGB picture into a float32 array, shape (3, H, W)."""

    def encode_arrays(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn prepared pictures, shape (B, 3, H, W), into features, shape (B, D)."""


@dataclass(slots=True)
class Read:
    """What became of one file.

    Attributes
    ----------
    found : Found
        Size and time of change as they were when it was read.
    sha256 : str
        Of its bytes; empty where it could not be read.
    info : PictureInfo, optional
        Only beside `tensor`.
    tensor : ndarray of float32, shape (3, H, W), optional
        Only where the vector is still to be made, and only for the first file with these bytes.
    reason : str
        Why the file cannot be used; empty where it can.
    """

    found: Found
    sha256: str = ""
    info: PictureInfo | None = None
    tensor: NDArray[np.float32] | None = None
    reason: str = ""


class PictureReader:
    """Reads files of one folder.

    Parameters
    ----------
    root : Path
        The folder.
    encoder : Encoder
        Decodes and prepares.
    known : callable
        Tells format and size of a content whose vector is there already.
    thumbnails : Thumbnails, optional
        Made on the way.
    """

    def __init__(
        self,
        root: Path,
        encoder: Encoder,
        known: Callable[[str], PictureInfo | None],
        thumbnails: Thumbnails | None = None,
    ) -> None:
        self._root = root
        self._encoder = encoder
        self._known = known
        self._thumbnails = thumbnails
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def read(self, found: Found) -> Read:
        """Read one file; what is wrong with it is an answer, not an error."""
        try:
            found, sha256, data = load(self._root, found.path)
        except (OSError, PictureError) as error:
            return Read(found, reason=reason(error))
        if not self._claim(sha256):
            return Read(found, sha256)
        try:
            return self._decode(found, sha256, data)
        except PictureError as error:
            return Read(found, sha256, reason=reason(error))

    def finished(self, sha256: str) -> bool:
        """Return whether this content has its vector and its thumbnails."""
        info = self._known(sha256)
        return info is not None and (
            self._thumbnails is None or self._thumbnails.complete(sha256, info.format)
        )

    def _claim(self, sha256: str) -> bool:
        """Return whether something is still to be done for this content, and nobody else is at it."""
        if self.finished(sha256):
            return False
        with self._lock:
            mine = sha256 not in self._claimed
            self._claimed.add(sha256)
            return mine

    def _decode(self, found: Found, sha256: str, data: bytes) -> Read:
        info = probe(data)
        image = self._encoder.decode(data)
        if self._thumbnails is not None:
            self._thumbnails.make(sha256, info.format, image)
        if self._known(sha256) is not None:
            return Read(found, sha256)
        return Read(found, sha256, info, self._encoder.prepare(image))


def load(root: Path, path: str) -> tuple[Found, str, bytes]:
    """Read a whole file: its size and time of change, its SHA-256, its bytes.

    Hashed and decoded from the same bytes, a file that changes meanwhile cannot get another's vector.

    Raises
    ------
    OSError
        It cannot be read.
    PictureError
        ``too_large``: more than `MAX_FILE_BYTES`.
    """
    with (root / path).open("rb") as file:
        status = os.fstat(file.fileno())
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PictureError("too_large", f"more than {MAX_FILE_BYTES // 1024**2} MiB")
    return Found(path, len(data), status.st_mtime_ns), hashlib.sha256(data).hexdigest(), data


def reason(error: OSError | PictureError) -> str:
    """Say in a line why a file cannot be used."""
    if isinstance(error, PictureError):
        return f"{error.code}: {error}"
    return "missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"
