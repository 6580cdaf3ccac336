"""Packs: the form in which photographs reach the trainer.

A pack is a tar archive of pictures named ``CLASS/FILE.jpg``. It is indexed once, and pictures are read out of
it where they lie, so that a hundred thousand take no memory. A class that is a WordNet id of ImageNet's
(``n02123045``) is a label; other folders are not.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

UNLABELLED = -1
_CLASSES = Path(__file__).with_name("classes.txt")


class PackError(ValueError):
    """A file is not a pack, or a folder holds none."""


class Photograph(NamedTuple):
    """A picture as it is drawn.

    Attributes
    ----------
    picture : PIL.Image.Image
        RGB.
    label : int
        ImageNet's class, or `UNLABELLED`.
    """

    picture: Image.Image
    label: int


class _Entry(NamedTuple):
    pack: int
    start: int
    size: int
    label: int


class Photographs:
    """All photographs of a folder of packs; a context manager that closes them.

    Parameters
    ----------
    folder : Path
        Holds ``*.tar``.
    shares : mapping of str to float
        How often a photograph of a pack is drawn, relative to the others; 1 where it is not given.

    Attributes
    ----------
    counts : dict of str to int
        Pictures of each pack.

    Raises
    ------
    PackError
        There is no pack, or one cannot be read.
    """

    def __init__(self, folder: Path, shares: Mapping[str, float]) -> None:
        paths = sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))
        labels = {number: label for label, (number, _) in enumerate(read_classes())}
        self._entries: list[_Entry] = []
        self.counts: dict[str, int] = {}
        chances: list[float] = []
        for pack, path in enumerate(paths):
            found = _index(path, pack, labels)
            self._entries += found
            self.counts[path.stem] = len(found)
            chances += [shares.get(path.stem, 1.0)] * len(found)
        if not self._entries:
            raise PackError(f"{folder} holds no packs (*.tar) with pictures.")
        self._cumulated = np.cumsum(chances) / np.sum(chances)
        self._files = [path.open("rb") for path in paths]

    def __len__(self) -> int:
        return len(self._entries)

    def draw(self, rng: np.random.Generator) -> Photograph:
        """Return a random photograph.

        Raises
        ------
        PackError
            Pillow cannot read it.
        """
        entry = self._entries[int(np.searchsorted(self._cumulated, rng.random(), side="right"))]
        file = self._files[entry.pack]
        content = os.pread(file.fileno(), entry.size, entry.start)
        try:
            return Photograph(Image.open(io.BytesIO(content)).convert("RGB"), entry.label)
        except OSError as error:
            raise PackError(f"{file.name}: the picture at byte {entry.start} is damaged: {error}") from error

    def __enter__(self) -> Photographs:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


def _index(path: Path, pack: int, labels: Mapping[str, int]) -> list[_Entry]:
    try:
        with tarfile.open(path) as archive:
            return [
                _Entry(
                    pack, member.offset_data, member.size, labels.get(member.name.split("/")[0], UNLABELLED)
                )
                for member in archive
                if member.isfile()
            ]
    except (OSError, tarfile.TarError) as error:
        raise PackError(f"{path} is not a pack: {error}") from error


def read_classes() -> list[tuple[str, str]]:
    """Read ``classes.txt``: WordNet id and name of ImageNet's 1,000 classes, in the teacher's order."""
    lines = _CLASSES.read_text(encoding="utf-8").splitlines()
    return [(number, name) for number, _, name in (line.partition(" ") for line in lines)]
