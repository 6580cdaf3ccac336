"""From a checkpoint file to the named, checked parameters of a ViT."""

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

SHOWN = 8  # so many wrong tensors of each kind are named; one wrong width misshapes hundreds


@dataclass(frozen=True)
class Weights:
    """The parameters of an open checkpoint, under their official names, each read when asked for.

    Attributes
    ----------
    config : ViTConfig
        Read from the tensors' shapes.
    layout : Layout
        How the file names its tensors.
    notes : mapping of str to str
        What is said about the model in the file's metadata and in a ``config.json`` beside it.
    path : Path
        The file.
    """

    config: ViTConfig
    layout: Layout
    notes: Mapping[str, str]
    path: Path
    _file: Checkpoint

    @property
    def storage(self) -> str:
        """The types that the file stores numbers in, that of most of them first: ``int8 and float32``."""
        sizes = Counter[str]()
        for name, shape in self._file.shapes.items():
            sizes[self._file.dtypes[name].name] += math.prod(shape)
        return " and ".join(name for name, _ in sizes.most_common())

    def read(self, name: str) -> NDArray[np.float32]:
        """Read the parameter `name`; smaller types are widened.

        Returns
        -------
        ndarray of float32
        """
        with reading(self.path):
            parts = [self._file.read(source) for source in self.layout.sources(name)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.ascontiguousarray(whole, dtype=np.float32)


@contextmanager
def open_weights(path: Path) -> Iterator[Weights]:
    """Open a checkpoint in any format and layout, and check every name and shape before any number is read.

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
        The file cannot be read, or names and shapes are not those of one ViT; missing, unknown and misshapen
        tensors are named, with the shape expected and the shape found.
    """
    with open_checkpoint(path) as file:
        with reading(path):
            layout = detect_layout(file.shapes)
            notes = {**_config_beside(path), **file.metadata}
            config = read_config(layout, file.shapes, notes)
            check_tensors(config, layout, file.shapes)
        yield Weights(config, layout, notes, path, file)


def read_config(layout: Layout, shapes: Mapping[str, tuple[int, ...]], notes: Mapping[str, str]) -> ViTConfig:
    """Read a model's configuration from its tensors' shapes.

    Parameters
    ----------
    layout : Layout
    shapes : mapping of str to tuple of int
        By the names of the file.
    notes : mapping of str to str
        May hold what no tensor tells: ``num_attention_heads`` and ``layer_norm_eps``. Without them, a head is
        64 wide and epsilon is 1e-6, as in every DINOv2.

    Raises
    ------
    CheckpointError
        A tensor that is needed for this is missing or misshapen, or the values make no ViT.
    """

    def shape(name: str, ndim: int) -> tuple[int, ...]:
        source = layout.sources(name)[0]
        found = shapes.get(source)
        if found is None or len(found) != ndim:
            raise CheckpointError(
                f"{source} is missing." if found is None else f"{source} has the shape {found}."
            )
        return found

    width = shape("cls_token", 3)[2]
    if _number(notes, "hidden_size", int) not in (None, width):
        raise CheckpointError(
            f"a config.json beside the file says hidden_size {notes['hidden_size']}, but the tensors' "
            f"width is {width}: it belongs to another checkpoint."
        )
    gated = ("w12.weight", "w12.bias", "w3.weight", "w3.bias")
    swiglu = any(source in shapes for name in gated for source in layout.sources(f"blocks.0.mlp.{name}"))
    positions = shape("pos_embed", 3)[1] - 1
    grid = round(max(positions, 0) ** 0.5)
    if grid * grid != positions:
        raise CheckpointError(
            f"{layout.sources('pos_embed')[0]} has {positions} patches; a square number is needed."
        )
    heads, eps = _number(notes, "num_attention_heads", int), _number(notes, "layer_norm_eps", float)
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
    """Compare a file's names and shapes with those of the model.

    Raises
    ------
    CheckpointError
        Anything is missing, unknown or misshapen.
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
        said = "; ".join(f"{len(names)} {kind}: {_shorten(names)}" for kind, names in faults if names)
        raise CheckpointError(
            f"not a ViT of width {config.width} and depth {config.depth} ({layout.name} names): {said}"
        )


def expected_shapes(config: ViTConfig, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Names and shapes that a file of this layout must have."""
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
            f"width {width} is no multiple of {HEAD_WIDTH}, so the number of heads must be said: "
            "num_attention_heads in the file's metadata or in a config.json beside it."
        )
    return width // HEAD_WIDTH


def _number(notes: Mapping[str, str], name: str, kind: type[Any]) -> Any:
    if name not in notes:
        return None
    try:
        return kind(notes[name])
    except ValueError:
        raise CheckpointError(f"{name} is {notes[name]!r}, which is no number.") from None


def _config_beside(path: Path) -> dict[str, str]:
    """Read the plain values of ``config.json`` beside the checkpoint, as text like a file's own metadata."""
    values = read_json_beside(path, "config.json")
    return {name: str(value) for name, value in values.items() if type(value) in (str, int, float)}


def read_json_beside(path: Path, name: str) -> dict[str, Any]:
    """Read the JSON object in the file `name` beside `path`; empty where there is none.

    Raises
    ------
    CheckpointError
        The file is there but holds no JSON object.
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
