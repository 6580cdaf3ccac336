"""Toy material that a small network learns in seconds: discs and bars, as photographs and as pictograms."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from model.config import ViTConfig
from training.packs import Photographs
from training.pictograms import Pictograms
from training.recipe import Recipe, Size
from training.teacher import Lesson
from training.trainer import Material

SIDE = 48
CLASSES = ("n02123045", "n04612504")  # tabby and yawl
CODES = ("1f408", "26f5")

RECIPE = Recipe(
    config=ViTConfig(width=64, depth=3, heads=1, hidden=128, mlp="gelu", patch=14, grid=2),
    frozen=1,
    sizes=(Size(28, 12, 2, 0.7), Size(42, 6, 2, 0.3)),
    lr=3e-3,
    warmup=3,
    queue=64,
    compared=20,
    centring=40,
)


class ToyTeacher:
    """Sees colours and edges in 2 x 2 cells, and the class in how much of a picture is dark."""

    channels = 12

    def __call__(self, pictures: np.ndarray) -> Lesson:
        pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        edges = torch.cat([pixels.diff(dim=2)[:, :, :, 1:], pixels.diff(dim=3)[:, :, 1:]], dim=1).abs()
        means = torch.nn.functional.adaptive_avg_pool2d(pixels, 2)
        cells = torch.cat([means, means.square(), torch.nn.functional.adaptive_avg_pool2d(edges, 2)], dim=1)
        logits = torch.zeros(len(pictures), 1000)
        logits[:, 281], logits[:, 914] = 20 * pixels.mean(dim=(1, 2, 3)), 10.0
        return Lesson(cells, logits)


def picture(label: int, rng: np.random.Generator, background: int = 180) -> Image.Image:
    """Draw a disc or bars at some place, in some colour."""
    rows, columns = np.indices((SIDE, SIDE)) - rng.integers(18, 30, 2)[:, None, None]
    shape = rows**2 + columns**2 < 200 if label == 0 else (abs(rows) % 12 < 6) & (abs(columns) < 18)
    pixels = np.full((SIDE, SIDE, 3), background, np.uint8)
    pixels[shape] = rng.integers(0, 100, 3)
    return Image.fromarray(pixels)


def write_pack(path: Path, names: list[str], seed: int = 1) -> None:
    """Write a pack of one picture for each name, CLASS/FILE; the second half of `CLASSES` has bars."""
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w") as pack:
        for name in names:
            file = io.BytesIO()
            picture(int(name.startswith(CLASSES[1])), rng).save(file, "JPEG")
            member = tarfile.TarInfo(name)
            member.size = file.tell()
            file.seek(0)
            pack.addfile(member, file)


def write_packs(folder: Path) -> Path:
    """Write two packs, one of them without labels."""
    folder.mkdir()
    write_pack(folder / "labelled.tar", [f"{CLASSES[at % 2]}/{at}.jpg" for at in range(16)])
    write_pack(folder / "plain.tar", [f"none/{at}.jpg" for at in range(8)], seed=2)
    return folder


def write_vendors(folder: Path) -> list[Path]:
    """Write pictograms as two vendors draw them."""
    vendors = [folder / "one", folder / "other"]
    for seed, vendor in enumerate(vendors):
        vendor.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        for label, code in enumerate(CODES):
            picture(label, rng, 255).convert("RGBA").save(vendor / f"{code}.png")
    return vendors


def material(folder: Path) -> Material:
    """Make toy material below a folder."""
    if not (folder / "packs").exists():
        write_packs(folder / "packs")
        write_vendors(folder / "vendors")
    pictograms = Pictograms(sorted((folder / "vendors").iterdir()))
    return Material(Photographs(folder / "packs", {}), pictograms, ToyTeacher())
