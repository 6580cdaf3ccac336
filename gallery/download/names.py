"""Safe file names from untrusted addresses and archives: inside the folder, and never too long."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

EXTENSIONS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "HEIF": ".heic",
    "AVIF": ".avif",
}
"""Extension of the stored file for each format, whatever the address claims."""

_MAX_STEM_BYTES = 80
_MAX_PART_BYTES = 255
_MAX_PATH_BYTES = 1024


def stem_for(url: str, name: str = "") -> str:
    """Return the file name, without extension, of the picture at `url`.

    It starts with the given name or the end of the address, and ends with 8 hexadecimal digits of the
    address's SHA-256: different addresses have different names, and an address has the same name in every
    run.
    """
    readable = name or PurePosixPath(unquote(urlsplit(url).path)).stem
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_plain(readable) or 'picture'}-{digest}"


def member_path(name: str) -> PurePosixPath:
    """Return the path of an archive member relative to the folder.

    Raises
    ------
    ValueError
        The name leads out of the folder, or is not a valid file name.
    """
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name):
        raise ValueError("its name is not relative")
    if ".." in parts:
        raise ValueError("its name leads out of the folder")
    parts = [unicodedata.normalize("NFC", part) for part in parts if part not in ("", ".")]
    if not parts or any(unicodedata.category(char) in ("Cc", "Cs") for part in parts for char in part):
        raise ValueError("its name is not text")
    if max(len(part.encode()) for part in parts) > _MAX_PART_BYTES or len(name.encode()) > _MAX_PATH_BYTES:
        raise ValueError("its name is too long")
    return PurePosixPath(*parts)


def _plain(text: str) -> str:
    """Keep letters, marks and digits of every script; replace everything else by single hyphens."""
    kept = (
        char if unicodedata.category(char)[0] in "LMN" or char == "_" else "-"
        for char in unicodedata.normalize("NFC", text[:500])
    )
    plain = re.sub("-+", "-", "".join(kept)).strip("-")
    return plain.encode()[:_MAX_STEM_BYTES].decode("utf-8", "ignore").rstrip("-")
