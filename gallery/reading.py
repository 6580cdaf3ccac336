"""Read a file and prepare it for the encoder: hash, decode, make thumbnails, resize.

Called by `gallery.encoding` from several threads; `load` also by the import of features. Imports `model`'s
pictures, not its network: the encoder is an argument.
"""

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

from gallery.errors import PathRefusedError
from gallery.folders import open_below
from gallery.scanning import CandidateFile, FileIssue, change_time
from gallery.thumbnails import Thumbnails
from model.errors import PictureError
from model.fingerprint import Fingerprint
from model.pictures import DAMAGED, PictureInfo, probe

MAX_FILE_BYTES = 512 * 1024 * 1024
PROBED_FIRST_BYTES = 16 * 1024 * 1024
"""A file larger than this is read only after its first bytes have proved to be a picture's."""


class Encoder(Protocol):
    """What the gallery needs of an encoder; `model.Encoder` provides it."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the encoder: only features with equal fingerprints can be compared."""

    def decode(self, source: bytes) -> Image.Image:
        """Decode a picture to RGB, possibly at reduced size."""

    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        """Turn an RGB picture into a float32 array, shape (3, H, W)."""

    def encode_arrays(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn prepared pictures, shape (B, 3, H, W), into features, shape (B, D)."""


@dataclass(slots=True)
class ReadResult:
    """Result of reading one file.

    Attributes
    ----------
    file : CandidateFile
        Size and time of change at the moment of reading.
    sha256 : str
        Of the file's bytes; empty if the file could not be read.
    info : PictureInfo, optional
        Set together with `tensor`.
    tensor : ndarray of float32, shape (3, H, W), optional
        Set if the picture still has to be encoded, and only for the first file with these bytes.
    reason : str
        Why the file cannot be used; empty if it can.
    """

    file: CandidateFile
    sha256: str = ""
    info: PictureInfo | None = None
    tensor: NDArray[np.float32] | None = None
    reason: str = ""


class PictureReader:
    """Reads the files of one folder; safe to use from several threads.

    Parameters
    ----------
    root : Path
        The folder.
    encoder : Encoder
        Decodes and prepares pictures.
    known : callable
        Returns format and size for the SHA-256 of a picture that has a feature already, else None.
    thumbnails : Thumbnails, optional
        Where thumbnails are written along the way.

    Attributes
    ----------
    damaged : list of FileIssue
        Files that were used although they are damaged, or cut off at their end.
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
        self.damaged: list[FileIssue] = []
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def read(self, file: CandidateFile) -> ReadResult:
        """Read one file; a file that cannot be used gives a result with a reason, not an exception."""
        try:
            file, sha256, data = load(self._root, file.path)
        except (OSError, PathRefusedError, PictureError, MemoryError) as error:
            return ReadResult(file, reason=reason(error))
        if not self._claim(sha256):
            return ReadResult(file, sha256)
        try:
            return self._decode(file, sha256, data)
        except (PictureError, MemoryError) as error:
            return ReadResult(file, sha256, reason=reason(error))

    def finished(self, sha256: str) -> bool:
        """Return whether a picture with these bytes has its feature and its thumbnails."""
        info = self._known(sha256)
        return info is not None and (
            self._thumbnails is None or self._thumbnails.complete(sha256, info.format)
        )

    def _claim(self, sha256: str) -> bool:
        """Return whether these bytes still need work that no other thread has taken."""
        if self.finished(sha256):
            return False
        with self._lock:
            first = sha256 not in self._claimed
            self._claimed.add(sha256)
            return first

    def _decode(self, file: CandidateFile, sha256: str, data: bytes) -> ReadResult:
        info = probe(data)
        image = self._encoder.decode(data)
        if image.info.get(DAMAGED):
            self.damaged.append(FileIssue(file.path, "damaged: used as far as it can be read"))
        known = self._known(sha256) is not None
        if self._thumbnails is not None:
            # Thumbnails of an index with another fingerprint may have been made from other pixels.
            self._thumbnails.make(sha256, info.format, image, anew=not known)
        if known:
            return ReadResult(file, sha256)
        return ReadResult(file, sha256, info, self._encoder.prepare(image))


def load(root: Path, path: str) -> tuple[CandidateFile, str, bytes]:
    """Read a whole file: its size and time of change, its SHA-256, its bytes.

    The same bytes are hashed and decoded, so that a file that changes meanwhile cannot get the feature of
    other contents. A large file that is not a picture, such as a video, is refused before it is read.

    Raises
    ------
    OSError
        The file cannot be read.
    PathRefusedError
        The path leads out of the folder, or it is not a regular file.
    MemoryError
        There is not enough memory for the file.
    PictureError
        ``too_large``: more than `MAX_FILE_BYTES`. For large files also the errors of `model.pictures.probe`.
    """
    with open_below(root, path) as file:
        status = os.fstat(file.fileno())
        if status.st_size > PROBED_FIRST_BYTES:
            probe(file)
            file.seek(0)
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PictureError("too_large", f"more than {MAX_FILE_BYTES // 1024**2} MiB")
    return CandidateFile(path, len(data), change_time(status)), hashlib.sha256(data).hexdigest(), data


def reason(error: OSError | PathRefusedError | PictureError | MemoryError) -> str:
    """Describe in one line why a file cannot be used."""
    if isinstance(error, MemoryError):
        return "out_of_memory: there is not enough memory for this picture"
    if isinstance(error, PictureError):
        return f"{error.code}: {error}"
    if isinstance(error, PathRefusedError):
        return str(error)
    return "missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"
