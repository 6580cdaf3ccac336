"""Conversion of any checkpoint to safetensors with official names, in float32, float16 or 8 bits.

``flask model convert`` and `model.checkpoints.fetch` call `convert`. Of these types, float32 loads fastest.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.storage import SCALE, is_matrix, quantise
from model.checkpoints.weights import Weights, open_weights, read_json_beside
from model.config import StorageType, ViTConfig
from model.errors import CheckpointError
from model.files import replacing
from model.preprocess import read_geometry

_ALIGNMENT = 8
_ITEM_BYTES = {"F32": 4, "F16": 2, "I8": 1}


def convert(source: Path, target: Path, storage: StorageType = "float32") -> ViTConfig:
    """Rewrite a checkpoint of any format and layout as safetensors.

    Values that the tensors do not contain (heads, epsilon, preprocessing sizes, positions) go into the
    metadata, even if they come from a file beside the source. Only one tensor is in memory at a time, and
    `target` appears when it is complete.

    Parameters
    ----------
    source : Path
        ``.pth``, ``.npz`` or ``.safetensors``.
    target : Path
        A ``.safetensors`` file; its folder must exist.
    storage : {"float32", "float16", "int8"}
        How numbers are stored. With ``int8``, matrices have 8 bits and a float32 scale for each row. Biases,
        norms, tokens and positions, less than one number in a hundred, stay float32.

    Returns
    -------
    ViTConfig
        Hyperparameters of the checkpoint.

    Raises
    ------
    CheckpointError
        The source is not a ViT, the target cannot be written, or a number is too large for `storage`.

    References
    ----------
    https://github.com/huggingface/safetensors#format
    """
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target} must end in .safetensors.")
    with open_weights(source) as weights:
        try:
            with replacing(target, sync=True) as file:
                _write(file, weights, storage, {**_metadata(weights), "name": target.stem})
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


def _write(file: IO[bytes], weights: Weights, storage: StorageType, metadata: dict[str, str]) -> None:
    """Write the header, whose offsets follow from the shapes, then one tensor after the other."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, shape in weights.config.shapes().items():
        for part, (dtype, size) in _layout(name, shape, storage).items():
            begin, end = end, end + _ITEM_BYTES[dtype] * math.prod(size)
            header[part] = {"dtype": dtype, "shape": list(size), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    for name, shape in weights.config.shapes().items():
        dtype, _ = _layout(name, shape, storage)[name]
        for array in _stored(weights, name, dtype):
            file.write(array.tobytes())


def _layout(
    name: str, shape: tuple[int, ...], storage: StorageType
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return names, types and shapes of the tensors that store a parameter."""
    if storage == "int8" and is_matrix(name, shape):
        return {name: ("I8", shape), name + SCALE: ("F32", shape[:1])}
    return {name: ("F16" if storage == "float16" else "F32", shape)}


def _stored(weights: Weights, name: str, dtype: str) -> tuple[NDArray[Any], ...]:
    """Return the arrays of these tensors, little-endian."""
    numbers = weights.read(name)
    if dtype == "I8":
        try:
            q, scale = quantise(numbers)
        except CheckpointError as error:
            raise CheckpointError(f"{weights.path}: {name}: {error}") from error
        return q, scale.astype("<f4", copy=False)
    if dtype == "F32":
        return (numbers.astype("<f4", copy=False),)
    with np.errstate(over="ignore"):
        half = numbers.astype("<f2")
    if not np.isfinite(half).all():
        raise CheckpointError(f"{weights.path}: {name} has numbers too large for float16; choose float32.")
    return (half,)
