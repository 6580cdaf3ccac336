"""Picture files: opening them within limits, converting them to RGB, and making small copies.

Every picture that enters Vitrine passes `probe` or `open_rgb`: uploads, files of a gallery, downloads. The
names below are the whole interface for opening; `model.pictures.copies` makes JPEG copies. The package
imports Pillow and `model.errors`, and no NumPy, so that the web process may import it.
"""

from model.config import HIGHEST_MAX_PIXELS
from model.pictures.decoders import MAX_PIXELS
from model.pictures.gate import (
    BROWSER_FORMATS,
    DAMAGED,
    DECODING,
    FORMATS,
    MEDIA_TYPES,
    MOST_OF_JPEG,
    PictureInfo,
    Source,
    limit_pixels,
    most_pixels,
    open_rgb,
    probe,
)

__all__ = [
    "BROWSER_FORMATS",
    "DAMAGED",
    "DECODING",
    "FORMATS",
    "HIGHEST_MAX_PIXELS",
    "MAX_PIXELS",
    "MEDIA_TYPES",
    "MOST_OF_JPEG",
    "PictureInfo",
    "Source",
    "limit_pixels",
    "most_pixels",
    "open_rgb",
    "probe",
]
