"""Picture files: one gate that opens them within limits, colour, and re-encoded copies.

Free of NumPy, so that the web process may import it. The names below are the whole interface for opening;
`model.pictures.copies` makes JPEG copies.
"""

from model.pictures.gate import (
    BROWSER_FORMATS,
    FORMATS,
    MAX_PIXELS,
    MEDIA_TYPES,
    PictureInfo,
    Source,
    open_rgb,
    probe,
)

__all__ = [
    "BROWSER_FORMATS",
    "FORMATS",
    "MAX_PIXELS",
    "MEDIA_TYPES",
    "PictureInfo",
    "Source",
    "open_rgb",
    "probe",
]
