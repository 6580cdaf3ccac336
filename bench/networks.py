"""Networks with the same random weights in our encoder, PyTorch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.weights import open_weights
from model.compare import transformers_model
from tests.support.checkpoints import BASE, write_checkpoint

Array = NDArray[np.float32]
Network = Callable[[Array], Array]
"""Function from preprocessed pictures (B, 3, H, W) to CLS features (B, D)."""


def random_base(folder: Path) -> Path:
    """Write a checkpoint of ViT-B/14 with seeded random weights."""
    return write_checkpoint(folder / "base.safetensors", BASE)


def pytorch(weights: Path) -> tuple[Any, Network]:
    """Return the module of transformers, and a function that runs it in PyTorch eager."""
    import torch

    with open_weights(weights) as opened:
        module = transformers_model(opened)

    def cls(pixels: Array) -> Array:
        with torch.inference_mode():
            features: Array = module(pixel_values=torch.from_numpy(pixels)).last_hidden_state[:, 0].numpy()
        return features

    return module, cls


def onnx_runtime(module: Any, side: int, path: Path, threads: int) -> Network:
    """Export the module for one picture of side x side pixels, and open it in ONNX Runtime."""
    import onnxruntime
    import torch

    class Cls(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixels: Any) -> Any:
            return self.module(pixel_values=pixels).last_hidden_state[:, 0]

    example = torch.zeros(1, 3, side, side)
    torch.onnx.export(Cls(), (example,), path, dynamo=False, opset_version=17, input_names=["pixels"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def cls(pixels: Array) -> Array:
        features: Array = session.run(None, {"pixels": pixels})[0]
        return features

    return cls
