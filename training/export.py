"""From trained weights to the checkpoint that Vitrine ships: safetensors, matrices in 8 bits."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model import load_encoder
from model.checkpoints.convert import convert
from model.config import StorageType
from model.preprocess import MEAN, STD
from training.network import Network

NAME = "vitrine-small"
WEIGHTS = f"{NAME}.safetensors"
MAX_DIFFERENCE = 1e-5
_BICUBIC = 3  # of Pillow, as preprocessor_config.json calls it


def export(network: Network, folder: Path, storage: StorageType = "int8") -> Path:
    """Write checkpoint, ``config.json`` and ``preprocessor_config.json`` into a folder.

    Before the numbers are rounded, NumPy must make of them what PyTorch does.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    RuntimeError
        NumPy and PyTorch disagree.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, path = network.config, folder / WEIGHTS
    notes = {
        "num_attention_heads": str(config.heads),
        "layer_norm_eps": str(config.eps),
        "resize": str(config.image_size),
        "crop": str(config.image_size),
        "positions": "transformers",
    }
    tensors = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    with tempfile.TemporaryDirectory() as temporary:
        exact = Path(temporary) / WEIGHTS
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, exact, notes)
        side = config.image_size
        pixels = np.random.default_rng(0).standard_normal((4, 3, side, side), np.float32)
        if (found := difference(network, exact, pixels)) > MAX_DIFFERENCE:
            raise RuntimeError(f"NumPy gives other features than the trained network: 1 - cosine {found:.1e}")
        convert(exact, path, storage)
    _write_json(folder / "config.json", _hub_config(network))
    _write_json(folder / "preprocessor_config.json", _preprocessing(config.image_size))
    return path


def difference(network: Network, path: Path, pixels: NDArray[np.float32]) -> float:
    """Compare a checkpoint, as NumPy runs it, with the network that it was made of.

    Parameters
    ----------
    network : Network
    path : Path
    pixels : ndarray of float32, shape (B, 3, H, W)

    Returns
    -------
    float
        The largest 1 - cosine between their CLS features; rounding is part of it.
    """
    found = load_encoder(path).encode_arrays(pixels).astype(np.float64)
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels))[:, 0].numpy().astype(np.float64)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float((1 - (found * expected).sum(axis=1) / lengths).max())


def _hub_config(network: Network) -> dict[str, Any]:
    config = network.config
    return {
        "model_type": "dinov2",
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "mlp_ratio": config.hidden // config.width,
        "layer_norm_eps": config.eps,
        "image_size": config.image_size,
        "patch_size": config.patch,
        "qkv_bias": True,
        "use_swiglu_ffn": False,
    }


def _preprocessing(side: int) -> dict[str, Any]:
    return {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": _BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_convert_rgb": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
