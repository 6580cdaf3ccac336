"""Write the golden arrays in ``tests/goldens`` with PyTorch and transformers.

Run in the environment of ``make parity``::

    .venv-peers/bin/python -m tests.goldens.make

`make test` compares with these files, so that exactness is tested without PyTorch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from model.compare import transformers_model
from tests.support.checkpoints import BASE, KINDS, memory_weights, random_pixels, random_tensors
from tests.support.goldens import (
    BASE_SIZES,
    BICUBIC_CASES,
    GOLDENS,
    KIND_SHAPES,
    PROCESSED,
    bicubic_table,
    golden_picture,
    numbers_digest,
)
from tests.support.peers import image_processor, official_tokens, transformers_tokens


def main() -> None:
    """Write every golden file."""
    GOLDENS.mkdir(exist_ok=True)
    _write(GOLDENS / "bicubic.npz", _bicubic())
    _write(GOLDENS / "preprocess.npz", _preprocess())
    _write(GOLDENS / "kinds.npz", _kinds())
    _write(GOLDENS / "base.npz", _base())


def _bicubic() -> dict[str, NDArray[np.float32]]:
    table = torch.from_numpy(bicubic_table()).permute(2, 0, 1)[None]
    grid = table.shape[-1]
    arrays = {}
    for name, case in BICUBIC_CASES.items():
        if case.offset:
            scale = ((case.height + case.offset) / grid, (case.width + case.offset) / grid)
            resampled = functional.interpolate(table, scale_factor=scale, mode="bicubic")
        else:
            size = (case.height, case.width)
            resampled = functional.interpolate(table, size=size, mode="bicubic", antialias=case.antialias)
        arrays[name] = resampled[0].permute(1, 2, 0).numpy()
    return arrays


def _preprocess() -> dict[str, NDArray[np.uint8]]:
    arrays = {}
    for name, case in PROCESSED.items():
        processor = image_processor(case.resize, case.crop, do_resize=case.mode == "official")
        pixels = processor(golden_picture(case.width, case.height), do_normalize=False, do_rescale=False)
        arrays[name] = np.asarray(pixels["pixel_values"][0]).astype(np.uint8)
    return arrays


def _kinds() -> dict[str, NDArray[np.float32]]:
    arrays = {}
    for kind, config in KINDS.items():
        tensors = random_tensors(config)
        for index, shape in enumerate(KIND_SHAPES):
            pixels = random_pixels(*shape)
            arrays[f"{kind}-{index}-transformers"] = transformers_tokens(config, tensors, pixels)
            arrays[f"{kind}-{index}-official"] = official_tokens(config, tensors, pixels)
    return arrays


def _base() -> dict[str, NDArray[np.generic]]:
    tensors = random_tensors(BASE)
    network = transformers_model(memory_weights(BASE, tensors))
    arrays: dict[str, NDArray[np.generic]] = {"digest": np.array(numbers_digest(tensors))}
    for height, width in BASE_SIZES:
        pixels = random_pixels(1, 3, height, width)
        with torch.inference_mode():
            arrays[f"transformers-{height}x{width}"] = (
                network(torch.from_numpy(pixels)).pooler_output[0].numpy()
            )
        arrays[f"official-{height}x{width}"] = official_tokens(BASE, tensors, pixels)[0, 0]
    return arrays


def _write(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
