"""The card that is written beside a checkpoint: what it is, what it was made of, and how."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from model.files import sha256_file
from training.recipe import Recipe
from training.state import Progress
from training.trainer import Material

_CARD = """# {name}

A ViT of DINOv2's architecture: width {config.width}, depth {config.depth}, heads {config.heads}, patch
{config.patch}, position table {config.grid} x {config.grid} ({config.image_size} px), {millions:.2f} M
parameters, {size:.1f} MiB. Preprocessing: shorter side and centre crop {config.image_size}, bicubic, ImageNet
mean and standard deviation.
SHA-256 of the checkpoint: {digest}.

Trained on {device} for {hours:.2f} hours: {progress.step:,} steps, {progress.pictures:,} pictures in
{progress.views:,} views. It began {begun}.

## Data

{pictograms:,} pictograms, and photographs:

| pack | photographs |
| --- | --- |
{packs}

## Recipe

| | |
| --- | --- |
{recipe}
"""


def write_card(
    checkpoint: Path, recipe: Recipe, material: Material, progress: Progress, init: Path | None, device: str
) -> Path:
    """Write ``README.md`` beside a checkpoint.

    Parameters
    ----------
    checkpoint : Path
    recipe : Recipe
    material : Material
        What it was trained on.
    progress : Progress
        How long.
    init : Path or None
        The checkpoint it began with.
    device : str
        What it was trained on, in words.

    Returns
    -------
    Path
    """
    counts = material.photographs.counts
    text = _CARD.format(
        name=checkpoint.stem,
        config=recipe.config,
        millions=recipe.config.parameters / 1e6,
        size=checkpoint.stat().st_size / 2**20,
        digest=sha256_file(checkpoint),
        device=device,
        hours=progress.seconds / 3600,
        progress=progress,
        begun=f"with `{init.name}` (SHA-256 {sha256_file(init)})" if init else "with random weights",
        pictograms=len(material.pictograms.codes),
        packs="\n".join(f"| {name} | {count:,} |" for name, count in counts.items()),
        recipe=_recipe(recipe),
    )
    path = checkpoint.with_name("README.md")
    path.write_text(text, encoding="utf-8")
    return path


def _recipe(recipe: Recipe) -> str:
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name != "config"}
    return "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in values.items())
