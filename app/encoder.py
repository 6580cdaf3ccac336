"""The encoder that the settings select, for commands and for the worker.

`model` is imported inside the function, since the web process must not load NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from app.context import settings

if TYPE_CHECKING:
    from pathlib import Path

    from model import Encoder
    from model.config import PositionMode, PreprocessMode


def encoder_in_use(
    weights: Path | None = None, preprocess: str | None = None, positions: str | None = None
) -> Encoder:
    """Load the checkpoint that the settings select; arguments override the settings.

    Raises
    ------
    model.errors.CheckpointError
        The checkpoint is missing, damaged or of an unknown layout.
    """
    from model import load_encoder

    current = settings()
    return load_encoder(
        weights or current.model_path,
        preprocess=cast("PreprocessMode", preprocess or current.preprocess),
        positions=cast("PositionMode | None", positions or current.positions or None),
    )
