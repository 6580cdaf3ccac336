"""DINOv2 in pure NumPy: pictures in, feature vectors out.

>>> from model import load_encoder
>>> encoder = load_encoder("model/bundled/vitrine-small.safetensors")
>>> features = encoder.encode(["cat.jpg", "dog.jpg"])

`model.encoder` is the place to start reading, then `model.network`. The package imports nothing of the rest
of the project. The names below are loaded on first use, so that a web process can import `model.pictures` or
`model.errors` without NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.config import ViTConfig
    from model.encoder import Encoder, load_encoder
    from model.errors import CheckpointError, DownloadError, PictureError, VitrineError
    from model.fingerprint import Fingerprint

_HOMES = {
    "CheckpointError": "model.errors",
    "DownloadError": "model.errors",
    "Encoder": "model.encoder",
    "Fingerprint": "model.fingerprint",
    "PictureError": "model.errors",
    "ViTConfig": "model.config",
    "VitrineError": "model.errors",
    "load_encoder": "model.encoder",
}

__all__ = [
    "CheckpointError",
    "DownloadError",
    "Encoder",
    "Fingerprint",
    "PictureError",
    "ViTConfig",
    "VitrineError",
    "load_encoder",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
