"""An append-only file of features, so that an interrupted run need not encode the same pictures again.

Written by `gallery.encoding` during indexing and evaluation. Imports NumPy and `model`'s plain types.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gallery.closable import Closable
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo

_HEADER_BYTES = 512
_CHECK_BYTES = 16
_BLOCK = 4096


class FeatureLog(Closable):
    """Features of one encoder, keyed by the SHA-256 of the picture file.

    All records have the same size, and each carries a checksum: a torn or damaged record counts as absent.
    One process may write at a time, under the lock of its folder; threads may read meanwhile.

    Parameters
    ----------
    path : Path
        The file; it is emptied if it belongs to another encoder.
    fingerprint : Fingerprint
        Of the encoder.
    """

    def __init__(self, path: Path, fingerprint: Fingerprint) -> None:
        self.path = path
        self._record = np.dtype(
            [
                ("sha256", "u1", 32),
                ("width", "<u4"),
                ("height", "<u4"),
                ("format", "S8"),
                ("vector", "<f4", (fingerprint.dim,)),
                ("check", "u1", _CHECK_BYTES),
            ]
        )
        self.dim = fingerprint.dim
        self._known: dict[str, tuple[int, PictureInfo]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        self._count = self._recover(_header(fingerprint))

    def __len__(self) -> int:
        return len(self._known)

    def info(self, sha256: str) -> PictureInfo | None:
        """Return format and size of a picture whose feature is in the log, else None."""
        known = self._known.get(sha256)
        return known[1] if known else None

    def append(self, sha256: str, info: PictureInfo, feature: NDArray[np.float32]) -> None:
        """Add one picture's feature, float32, shape (D,); it is written out by the next `flush`."""
        record = np.zeros(1, self._record)
        record["sha256"] = np.frombuffer(bytes.fromhex(sha256), np.uint8)
        record["width"], record["height"] = info.width, info.height
        record["format"] = info.format.encode()
        record["vector"] = feature
        record["check"] = np.frombuffer(_checksum(record[0].tobytes()), np.uint8)
        self._file.write(record.tobytes())
        self._known[sha256] = (self._count, info)
        self._count += 1

    def flush(self) -> None:
        """Pass appended records to the operating system, where they survive a kill of this process."""
        self._file.flush()

    def features(self, sha256s: list[str]) -> NDArray[np.float32]:
        """Return the features of pictures in the log, float32, shape (n, D).

        Raises
        ------
        KeyError
            The log has no feature of one of them.
        """
        self.flush()
        records: NDArray[Any] = np.memmap(
            self.path, self._record, mode="r", offset=_HEADER_BYTES, shape=(self._count,)
        )
        return np.asarray(records["vector"][[self._known[sha256][0] for sha256 in sha256s]])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _recover(self, header: bytes) -> int:
        """Read the sound records, cut off a torn end, and return the number of records in the file."""
        self._file.seek(0)
        if self._file.read(_HEADER_BYTES) != header:
            self._file.truncate(0)
            self._file.write(header)
            return 0
        count = 0
        while block := self._file.read(_BLOCK * self._record.itemsize):
            records = np.frombuffer(block, self._record, count=len(block) // self._record.itemsize)
            for record in records:
                if _checksum(record.tobytes()) == record["check"].tobytes():
                    info = PictureInfo(record["format"].decode(), int(record["width"]), int(record["height"]))
                    self._known[record["sha256"].tobytes().hex()] = (count, info)
                count += 1
        self._file.truncate(_HEADER_BYTES + count * self._record.itemsize)
        return count


def _header(fingerprint: Fingerprint) -> bytes:
    text = json.dumps({"vitrine": "features", "format": 1, **fingerprint.as_dict()}, sort_keys=True)
    return text.encode().ljust(_HEADER_BYTES - 1) + b"\n"


def _checksum(record: bytes) -> bytes:
    return hashlib.blake2b(record[:-_CHECK_BYTES], digest_size=_CHECK_BYTES).digest()
