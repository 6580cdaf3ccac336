"""Layouts: the three ways in which DINOv2 checkpoints name their tensors.

The rest of the project uses the official names. A layout maps each official name to the tensors of a file
that make it up: the numbers are the same, but in other layouts query, key and value are separate tensors.
`model.checkpoints.weights` and `model.compare` call this. Imports `model.errors` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model.errors import CheckpointError


@dataclass(frozen=True, eq=False)
class Layout:
    """One way of naming tensors.

    Attributes
    ----------
    name : str
        Name of the layout in messages.
    block_prefix : str
        What comes before the number of a block.
    top, block : mapping
        Official name to names in this layout, whose tensors are joined along the first axis. Names in `block`
        come after the number of a block. Both lack the endings ``.weight`` and ``.bias``.
    """

    name: str
    block_prefix: str
    top: Mapping[str, tuple[str, ...]]
    block: Mapping[str, tuple[str, ...]]

    def sources(self, official: str) -> tuple[str, ...]:
        """Return the names in this layout of the tensors that make up the parameter `official`."""
        match = re.fullmatch(r"blocks\.(\d+)\.(.+)", official)
        names, prefix = (self.block, f"{self.block_prefix}{match[1]}.") if match else (self.top, "")
        stem, ending = _split_ending(match[2] if match else official)
        return tuple(f"{prefix}{source}{ending}" for source in names[stem])

    def knows(self, key: str) -> bool:
        """Return whether `key` is a name in this layout."""
        match = re.fullmatch(re.escape(self.block_prefix) + r"\d+\.(.+)", key)
        stem, _ = _split_ending(match[1] if match else key)
        return any(stem in sources for sources in (self.block if match else self.top).values())

    def depth(self, keys: Iterable[str]) -> int:
        """Return the number of blocks: one more than the highest number in `keys`."""
        pattern = re.compile(re.escape(self.block_prefix) + r"(\d{1,4})\.")
        return 1 + max((int(match[1]) for match in map(pattern.match, keys) if match), default=-1)


def _split_ending(name: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.+?)(\.weight|\.bias)?", name)
    return (match[1], match[2] or "") if match else (name, "")


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


_HUB_TOP = {
    "cls_token": ("embeddings.cls_token",),
    "mask_token": ("embeddings.mask_token",),
    "register_tokens": ("embeddings.register_tokens",),
    "pos_embed": ("embeddings.position_embeddings",),
    "patch_embed.proj": ("embeddings.patch_embeddings.projection",),
    "norm": ("layernorm",),
}
_HUB_BLOCK = _same("norm1", "norm2", "mlp.fc1", "mlp.fc2") | {
    "attn.qkv": ("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    "attn.proj": ("attention.output.dense",),
    "ls1.gamma": ("layer_scale1.lambda1",),
    "ls2.gamma": ("layer_scale2.lambda1",),
    "mlp.w12": ("mlp.weights_in",),
    "mlp.w3": ("mlp.weights_out",),
}
_MEMORY_BLOCK = _HUB_BLOCK | {
    "attn.qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    "attn.proj": ("attention.o_proj",),
}
_SPLIT_SWIGLU = {"mlp.w12": ("mlp.gate_proj", "mlp.up_proj"), "mlp.w3": ("mlp.down_proj",)}

OFFICIAL = Layout(
    "official",
    "blocks.",
    _same("cls_token", "mask_token", "register_tokens", "pos_embed", "patch_embed.proj", "norm"),
    _same(
        "norm1",
        "attn.qkv",
        "attn.proj",
        "ls1.gamma",
        "norm2",
        "mlp.fc1",
        "mlp.fc2",
        "mlp.w12",
        "mlp.w3",
        "ls2.gamma",
    ),
)
HUB = Layout("Hugging Face hub", "encoder.layer.", _HUB_TOP, _HUB_BLOCK)
TRANSFORMERS = Layout("transformers 5 in memory", "encoder.layer.", _HUB_TOP, _MEMORY_BLOCK | _SPLIT_SWIGLU)
# Early releases of transformers 5 kept SwiGLU's two matrices in one tensor, as on the hub.
EARLY_TRANSFORMERS = Layout("transformers 5 in memory", "encoder.layer.", _HUB_TOP, _MEMORY_BLOCK)

LAYOUTS = (OFFICIAL, HUB, TRANSFORMERS, EARLY_TRANSFORMERS)


def detect_layout(keys: Iterable[str]) -> Layout:
    """Return the layout that most of the names belong to.

    Parameters
    ----------
    keys : iterable of str
        Names of tensors in a file.

    Returns
    -------
    Layout

    Raises
    ------
    CheckpointError
        No layout has more than half of the names.
    """
    keys = list(keys)
    known = {layout: sum(map(layout.knows, keys)) for layout in LAYOUTS}
    best = max(LAYOUTS, key=known.__getitem__)
    if 2 * known[best] <= len(keys):
        shown = ", ".join(sorted(keys)[:3]) or "nothing"
        raise CheckpointError(
            f"the names are not those of a DINOv2 checkpoint: {len(keys)} tensors, beginning with {shown}."
        )
    return best
