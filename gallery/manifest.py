"""What one generation of an index is made of."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import Any

from gallery.errors import IndexCorruptError

FEATURES = "features.npy"
ITEMS = "items.db"
MANIFEST = "manifest.json"

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a file must be.

    Attributes
    ----------
    sha256 : str
        64 hexadecimal digits.
    size : int
        Bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation is made of.

    Attributes
    ----------
    model : str
        Name of the encoder.
    fingerprint : dict
        `model.fingerprint.Fingerprint.as_dict` of the encoder.
    root : str
        Absolute folder that the items' paths start from.
    attribution : str
        Text of ``ATTRIBUTION.txt`` in the root, or empty.
    created : str
        ISO 8601, UTC.
    scanned : int
        When the scan of the root began, nanoseconds since 1970: a file changed about then is hashed again.
    count : int
        Items, which is also rows of ``features.npy``.
    files : dict of str to FileDigest
        Every other file of the generation.
    """

    model: str
    fingerprint: dict[str, Any]
    root: str
    attribution: str
    created: str
    scanned: int
    count: int
    files: dict[str, FileDigest]

    @property
    def mend(self) -> str:
        """The command that brings the index up to date."""
        return f"flask gallery index {shlex.quote(self.root)}"

    def to_bytes(self) -> bytes:
        """Return the text of ``manifest.json``."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """Read ``manifest.json``.

        Raises
        ------
        IndexCorruptError
            It is no manifest, or one of another version.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != _FORMAT:
                raise IndexCorruptError("The index was written by another version of Vitrine; index again.")
            values["files"] = {name: FileDigest(**digest) for name, digest in values["files"].items()}
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexCorruptError(f"{MANIFEST} cannot be read: {error}") from error
