"""``manifest.json``: what one generation of an index contains.

Written by `gallery.writer`, read by `gallery.generations`; standard library alone.
"""

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
    """Size and checksum that a file must have.

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
    """Description of a generation.

    Attributes
    ----------
    model : str
        Name of the encoder.
    fingerprint : dict
        `model.fingerprint.Fingerprint.as_dict` of the encoder.
    root : str
        Absolute path of the gallery's folder; the items' paths are relative to it.
    attribution : str
        Text of the gallery's ``ATTRIBUTION.txt``, or empty.
    created : str
        ISO 8601, UTC.
    scanned : int
        Start of the scan in nanoseconds since 1970: a file changed at about that time is hashed again.
    count : int
        Number of items, and of rows in ``features.npy``.
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
    def reindex_command(self) -> str:
        """The command that brings the index up to date."""
        return f"flask gallery index {shlex.quote(self.root)}"

    def to_bytes(self) -> bytes:
        """Return the text of ``manifest.json``."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """Parse ``manifest.json``.

        Raises
        ------
        IndexCorruptError
            The text is not a manifest, or of another version.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != _FORMAT:
                raise IndexCorruptError(
                    "The index was written by another version of Vitrine; "
                    "index again: flask gallery index DIR"
                )
            values["files"] = {name: FileDigest(**digest) for name, digest in values["files"].items()}
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexCorruptError(f"{MANIFEST} cannot be read: {error}") from error
