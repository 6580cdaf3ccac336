"""Comparison of features with a reference, such as those of transformers.

``flask model verify``, `bench` and the tests call this. PyTorch and transformers are imported only by the
functions that need them; ``make parity`` installs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.layouts import detect_layout
from model.checkpoints.weights import Weights, open_weights
from model.config import ViTConfig
from model.errors import VitrineError
from model.network.functional import Array

MAX_COSINE_DISTANCE = 1e-6
MAX_DIFFERENCE = 1e-4


class NoReferenceError(VitrineError):
    """There is no reference to compare with, or it does not match the pictures."""

    code = "no_reference"


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between a feature and its reference.

    Attributes
    ----------
    cosine : float
        Cosine similarity of the two.
    largest, mean : float
        Largest and mean absolute difference of coordinates.
    squared : float
        Mean squared difference of coordinates.
    """

    cosine: float
    largest: float
    mean: float
    squared: float

    def within(self, cosine_distance: float = MAX_COSINE_DISTANCE, largest: float = MAX_DIFFERENCE) -> bool:
        """Return whether ``1 - cosine`` and the largest difference are within the tolerances."""
        return 1 - self.cosine <= cosine_distance and self.largest <= largest


def compare(features: NDArray[Any], reference: NDArray[Any]) -> list[Difference]:
    """Compare features row by row, in float64.

    Parameters
    ----------
    features, reference : ndarray, shape (n, D)

    Returns
    -------
    list of Difference

    Raises
    ------
    NoReferenceError
        The reference has another shape or type, or numbers that are not finite.
    """
    if reference.shape != features.shape or reference.dtype.kind != "f":
        raise NoReferenceError(
            f"the reference is {reference.dtype} of shape {reference.shape}, not {features.shape}."
        )
    if not np.isfinite(reference).all():
        raise NoReferenceError("the reference has numbers that are not finite.")
    rows = zip(features, reference, strict=True)
    return [_difference(a.astype(np.float64), b.astype(np.float64)) for a, b in rows]


def read_reference(path: Path) -> NDArray[Any]:
    """Read features from a ``.npy`` file; pickled arrays are refused.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ndarray

    Raises
    ------
    NoReferenceError
        The file does not hold a single array of numbers.
    """
    try:
        reference = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise NoReferenceError(f"{path} is not a .npy file: {error}") from error
    if not isinstance(reference, np.ndarray):
        raise NoReferenceError(f"{path} is an .npz file; save the features as one array in a .npy file.")
    return reference


def _difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> Difference:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    apart = np.abs(a - b)
    cosine = float(a @ b) / lengths if lengths else 0.0
    return Difference(cosine, float(apart.max()), float(apart.mean()), float((apart**2).mean()))


def transformers_features(path: Path, pictures: list[Array]) -> Array:
    """Encode preprocessed pictures with the network of transformers.

    Parameters
    ----------
    path : Path
        The checkpoint.
    pictures : list of ndarray of float32, shape (3, H, W)
        Preprocessed pictures.

    Returns
    -------
    ndarray of float32, shape (n, D)
        CLS features.

    Raises
    ------
    NoReferenceError
        PyTorch or transformers is not installed.
    CheckpointError
        The checkpoint cannot be read.
    """
    torch = _peer("torch")
    with open_weights(path) as weights:
        network = transformers_model(weights)
    with torch.inference_mode():
        rows = [
            network(torch.from_numpy(pixels[None])).last_hidden_state[0, 0].numpy() for pixels in pictures
        ]
    return np.stack(rows)


def transformers_model(weights: Weights) -> Any:
    """Build a Dinov2Model or Dinov2WithRegistersModel of transformers with these weights.

    Parameters
    ----------
    weights : Weights
        An open checkpoint.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.

    Raises
    ------
    NoReferenceError
        PyTorch or transformers is not installed.
    """
    torch, transformers = _peer("torch"), _peer("transformers")
    config = weights.config
    settings = {
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "mlp_ratio": _mlp_ratio(config),
        "layer_norm_eps": config.eps,
        "image_size": config.image_size,
        "patch_size": config.patch,
        "use_swiglu_ffn": config.mlp == "swiglu",
    }
    if config.registers:
        settings["num_register_tokens"] = config.registers
        network = transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**settings))
    else:
        network = transformers.Dinov2Model(transformers.Dinov2Config(**settings))
    state = network.state_dict()
    layout = detect_layout(state)  # names differ between releases
    for name in config.shapes():
        sources = layout.sources(name)
        for source, part in zip(sources, np.split(weights.read(name), len(sources)), strict=True):
            state[source].copy_(torch.from_numpy(np.ascontiguousarray(part)))
    return network.eval()


def _mlp_ratio(config: ViTConfig) -> int:
    """Return mlp_ratio for transformers, which takes two thirds of it with SwiGLU, in multiples of 8."""
    ratio = config.hidden / config.width
    return round(ratio if config.mlp == "gelu" else 1.5 * ratio)


def _peer(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise NoReferenceError(
            f"{name} is not installed; `make parity` creates an environment with it."
        ) from error
