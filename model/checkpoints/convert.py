"""Any checkpoint to the one form that loads fastest: safetensors, float32, official names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import numpy as np

from model.checkpoints.weights import Weights, open_weights, read_json_beside
from model.config import ViTConfig
from model.errors import CheckpointError
from model.files import replacing
from model.preprocess import read_geometry

_ALIGNMENT = 8


def convert(source: Path, target: Path) -> ViTConfig:
    """Rewrite a checkpoint of any format and layout as safetensors.

    What the tensors do not tell (heads, epsilon, sizes of the preprocessing, positions), and what a file
    beside the source may have told, goes into the metadata. One tensor at a time is in memory, and `target`
    gets its name when it is complete.

    Parameters
    ----------
    source : Path
        ``.pth``, ``.npz`` or ``.safetensors``.
    target : Path
        A ``.safetensors`` file; its folder must be there.

    Returns
    -------
    ViTConfig
        What the checkpoint holds.

    Raises
    ------
    CheckpointError
        The source is no ViT, or the target cannot be written.

    References
    ----------
    https://github.com/huggingface/safetensors#format
    """
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target} must end in .safetensors.")
    with open_weights(source) as weights:
        try:
            with replacing(target, sync=True) as file:
                _write(file, weights, _metadata(weights))
        except OSError as error:
            raise CheckpointError(f"{target} cannot be written: {error.strerror}.") from error
        return weights.config


def _metadata(weights: Weights) -> dict[str, str]:
    config = weights.config
    preprocessor = read_json_beside(weights.path, "preprocessor_config.json")
    geometry = read_geometry(preprocessor, dict(weights.metadata), config.grid, config.patch)
    metadata = {
        "num_attention_heads": str(config.heads),
        "layer_norm_eps": repr(config.eps),
        "resize": str(geometry.resize),
        "crop": str(geometry.crop),
    }
    if "positions" in weights.metadata:
        metadata["positions"] = weights.metadata["positions"]
    return metadata


def _write(file: IO[bytes], weights: Weights, metadata: dict[str, str]) -> None:
    """Write the header, whose offsets follow from the shapes, and then tensor after tensor."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, shape in weights.config.shapes().items():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in weights.config.shapes():
        file.write(weights.read(name).astype("<f4", copy=False).tobytes())
