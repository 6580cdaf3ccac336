"""From a trained network to the checkpoint that Vitrine ships: float16 safetensors with the hub's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model import load_encoder
from model.checkpoints.layouts import HUB
from model.preprocess import MEAN, STD
from training.network import Network

WEIGHTS, NAME = "vitrine-compact.safetensors", "vitrine-compact"
BICUBIC = 3  # of Pillow, as preprocessor_config.json calls it


def export(network: Network, folder: Path, resize: int) -> Path:
    """Write checkpoint, ``config.json`` and ``preprocessor_config.json`` into a folder.

    Parameters
    ----------
    network : Network
    folder : Path
    resize : int
        Length that the preprocessing gives the shorter side.

    Returns
    -------
    Path
        The checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = network.config
    tensors: dict[str, NDArray[np.float16]] = {
        HUB.sources("mask_token")[0]: np.zeros((1, config.width), np.float16)  # expected, and never used
    }
    for name, value in network.state_dict().items():
        sources = HUB.sources(name)
        parts = value.detach().cpu().to(torch.float16).numpy()
        tensors |= dict(zip(sources, np.split(parts, len(sources)), strict=True))
    notes = {
        "format": "pt",
        "name": NAME,
        "architecture": "dinov2",
        "num_attention_heads": str(config.heads),
        "layer_norm_eps": str(config.eps),
        "patch_size": str(config.patch),
        "image_size": str(config.image_size),
        "resize": str(resize),
        "crop": str(config.image_size),
        "positions": "transformers",
    }
    path = folder / WEIGHTS
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path, notes)
    path.chmod(0o644)  # the library leaves it to its owner alone
    _write_json(folder / "config.json", _hub_config(network))
    _write_json(folder / "preprocessor_config.json", _preprocessing(config.image_size, resize))
    return path


def difference(network: Network, path: Path, pixels: NDArray[np.float32]) -> float:
    """Compare an exported checkpoint, as NumPy runs it, with the network that it was made of.

    Parameters
    ----------
    network : Network
    path : Path
    pixels : ndarray of float32, shape (B, 3, H, W)

    Returns
    -------
    float
        The largest 1 - cosine between their CLS features; rounding to float16 is part of it.
    """
    found = load_encoder(path).encode_arrays(pixels).astype(np.float64)
    device = network.cls_token.device
    with torch.no_grad():
        tokens = network(torch.from_numpy(pixels).to(device))
    expected = tokens[:, 0].cpu().numpy().astype(np.float64)
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


def _preprocessing(crop: int, resize: int) -> dict[str, Any]:
    return {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": resize},
        "resample": BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": crop, "width": crop},
        "do_convert_rgb": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
