"""A checkpoint file of any format and layout, opened as the checked parameters of a ViT.

`model.encoder`, `model.network.fold`, `model.checkpoints.convert` and `model.compare` use `open_weights`.
Imports `model.checkpoints.files`, `model.checkpoints.layouts` and `model.config`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.checkpoints.files import Checkpoint, open_checkpoint, reading
from model.checkpoints.layouts import Layout, detect_layout
from model.config import HEAD_WIDTH, LAYER_NORM_EPS, ViTConfig
from model.errors import CheckpointError

SHOWN = 8  # wrong tensors of each kind that a message names; one wrong width misshapes hundreds


@dataclass(frozen=True)
class Weights:
    """The parameters of an open checkpoint by their official names, read one at a time.

    Attributes
    ----------
    config : ViTConfig
        Derived from the tensors' shapes.
    layout : Layout
        How the file names its tensors.
    metadata : mapping of str to str
        The file's own metadata, and the values of a ``config.json`` beside it.
    path : Path
        The file.
    """

    config: ViTConfig
    layout: Layout
    metadata: Mapping[str, str]
    path: Path
    _file: Checkpoint

    @property
    def storage(self) -> str:
        """The types of the stored numbers, the most frequent first, such as ``int8 and float32``."""
        sizes = Counter[str]()
        for name, shape in self._file.shapes.items():
            sizes[self._file.dtypes[name].name] += math.prod(shape)
        return " and ".join(name for name, _ in sizes.most_common())

    def read(self, name: str) -> NDArray[np.float32]:
        """Read one parameter, converted to float32.

        Parameters
        ----------
        name : str
            Official name.

        Returns
        -------
        ndarray of float32, C-contiguous

        Raises
        ------
        CheckpointError
            The file is damaged.
        """
        with reading(self.path):
            parts = [self._file.read(source) for source in self.layout.sources(name)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.ascontiguousarray(whole, dtype=np.float32)


@contextmanager
def open_weights(path: Path) -> Iterator[Weights]:
    """Open a checkpoint of any format and layout, and check all names and shapes before reading numbers.

    Parameters
    ----------
    path : Path
        A ``.safetensors``, ``.npz`` or ``.pth`` file.

    Yields
    ------
    Weights

    Raises
    ------
    CheckpointError
        The file cannot be read, or its names and shapes are not those of a ViT. The message names missing,
        unknown and misshapen tensors, with the shapes expected and found.
    """
    with open_checkpoint(path) as file:
        with reading(path):
            layout = detect_layout(file.shapes)
            metadata = {**_config_beside(path), **file.metadata}
            config = read_config(layout, file.shapes, metadata)
            check_tensors(config, layout, file.shapes)
        yield Weights(config, layout, metadata, path, file)


def read_config(
    layout: Layout, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]
) -> ViTConfig:
    """Derive a model's hyperparameters from its tensors' shapes.

    Parameters
    ----------
    layout : Layout
    shapes : mapping of str to tuple of int
        Shapes by the file's names.
    metadata : mapping of str to str
        May have what no shape tells: ``num_attention_heads`` and ``layer_norm_eps``. By default, a head has
        width 64 and epsilon is 1e-6, as in every DINOv2.

    Returns
    -------
    ViTConfig

    Raises
    ------
    CheckpointError
        A tensor is missing or misshapen, or the values are not those of a ViT.
    """

    def shape(name: str, ndim: int) -> tuple[int, ...]:
        source = layout.sources(name)[0]
        found = shapes.get(source)
        if found is None or len(found) != ndim:
            raise CheckpointError(
                f"{source} is missing." if found is None else f"{source} has the unexpected shape {found}."
            )
        return found

    width = shape("cls_token", 3)[2]
    if _number(metadata, "hidden_size", int) not in (None, width):
        raise CheckpointError(
            f"the config.json beside the file has hidden_size {metadata['hidden_size']}, but the tensors "
            f"have width {width}: it belongs to another checkpoint."
        )
    gated = ("w12.weight", "w12.bias", "w3.weight", "w3.bias")
    swiglu = any(source in shapes for name in gated for source in layout.sources(f"blocks.0.mlp.{name}"))
    positions = shape("pos_embed", 3)[1] - 1
    grid = round(max(positions, 0) ** 0.5)
    if grid * grid != positions:
        raise CheckpointError(
            f"{layout.sources('pos_embed')[0]} has {positions} patches, which must be a square number."
        )
    heads, eps = _number(metadata, "num_attention_heads", int), _number(metadata, "layer_norm_eps", float)
    has_registers = layout.sources("register_tokens")[0] in shapes
    return ViTConfig(
        width=width,
        depth=layout.depth(shapes),
        heads=_default_heads(width) if heads is None else heads,
        hidden=shape("blocks.0.mlp.w3.weight" if swiglu else "blocks.0.mlp.fc2.weight", 2)[1],
        mlp="swiglu" if swiglu else "gelu",
        patch=shape("patch_embed.proj.weight", 4)[2],
        grid=grid,
        registers=shape("register_tokens", 3)[1] if has_registers else 0,
        eps=LAYER_NORM_EPS if eps is None else eps,
    )


def check_tensors(config: ViTConfig, layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check a file's names and shapes against those that the model must have.

    Parameters
    ----------
    config : ViTConfig
    layout : Layout
    shapes : mapping of str to tuple of int
        Shapes by the file's names.

    Raises
    ------
    CheckpointError
        A tensor is missing, unknown or misshapen.
    """
    expected = expected_shapes(config, layout)
    optional = set(layout.sources("mask_token"))
    missing = [f"{name} {shape}" for name, shape in expected.items() if name not in shapes]
    unknown = [
        f"{name} {shape}" for name, shape in shapes.items() if name not in expected and name not in optional
    ]
    misshapen = [
        f"{name}: expected {shape}, found {shapes[name]}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    faults = [("missing", missing), ("unknown", unknown), ("misshapen", misshapen)]
    if any(names for _, names in faults):
        listed = "; ".join(f"{len(names)} {kind}: {_shorten(names)}" for kind, names in faults if names)
        raise CheckpointError(
            f"not a ViT of width {config.width} and depth {config.depth} ({layout.name} names): {listed}"
        )


def expected_shapes(config: ViTConfig, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a file of this layout must have, by its names."""
    expected: dict[str, tuple[int, ...]] = {}
    for name, (length, *rest) in config.shapes().items():
        sources = layout.sources(name)
        expected |= dict.fromkeys(sources, (length // len(sources), *rest))
    return expected


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def _default_heads(width: int) -> int:
    if width % HEAD_WIDTH:
        raise CheckpointError(
            f"width {width} is not a multiple of {HEAD_WIDTH}, so the number of heads is unknown; put "
            "num_attention_heads into the file's metadata or into a config.json beside it."
        )
    return width // HEAD_WIDTH


def _number(metadata: Mapping[str, str], name: str, kind: type[Any]) -> Any:
    if name not in metadata:
        return None
    try:
        return kind(metadata[name])
    except ValueError:
        raise CheckpointError(f"{name} is {metadata[name]!r}, which is not a number.") from None


def _config_beside(path: Path) -> dict[str, str]:
    """Return the numbers and texts of ``config.json`` beside the checkpoint, all as text like metadata."""
    values = read_json_beside(path, "config.json")
    return {name: str(value) for name, value in values.items() if type(value) in (str, int, float)}


def read_json_beside(path: Path, name: str) -> dict[str, Any]:
    """Read the JSON object in the file `name` beside `path`.

    Parameters
    ----------
    path : Path
    name : str

    Returns
    -------
    dict
        Empty if there is no such file.

    Raises
    ------
    CheckpointError
        The file does not hold a JSON object.
    """
    beside = path.with_name(name)
    if not beside.is_file():
        return {}
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{beside} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{beside} must hold a JSON object.")
    return values
