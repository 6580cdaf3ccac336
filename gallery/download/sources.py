"""Sources of pictures: open photo sets by name, archives, and lists of addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from model.errors import DownloadError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LIST_SUFFIXES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """An open set of photographs.

    Attributes
    ----------
    urls : tuple of str
        Addresses of the same archive, tried in turn.
    md5 : str
        MD5 of the archive, as torchvision lists it.
    pictures, megabytes : int
        Expected number of pictures and size of the archive.
    attribution : str
        Written to ``ATTRIBUTION.txt`` beside the pictures, and shown by the site.
    """

    urls: tuple[str, ...]
    md5: str
    pictures: int
    megabytes: int
    attribution: str


PHOTO_SETS = {
    "imagenette-160": PhotoSet(
        ("https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",),
        "e793b78cc4c9e9a4ccc0c1155377a412",
        13_394,
        99,
        "Imagenette, ten classes of ImageNet chosen by fast.ai: https://github.com/fastai/imagenette. "
        "The photographs belong to their authors and are for research and teaching.",
    ),
    "oxford-pets": PhotoSet(
        (
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
            "https://thor.robots.ox.ac.uk/datasets/pets/images.tar.gz",
        ),
        "5c4f3ee8e5d25df40f4fd59a7f44e54c",
        7_390,
        792,
        "The Oxford-IIIT Pet Dataset, Parkhi, Vedaldi, Zisserman and Jawahar, 2012: "
        "https://www.robots.ox.ac.uk/~vgg/data/pets/. License: CC BY-SA 4.0.",
    ),
    "flowers-102": PhotoSet(
        (
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",
            "https://thor.robots.ox.ac.uk/datasets/flowers-102/102flowers.tgz",
        ),
        "52808999861908f626f3c1f4e79d11fa",
        8_189,
        345,
        "102 Category Flower Dataset, Nilsback and Zisserman, 2008: "
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/. The photographs belong to their authors.",
    ),
    "caltech-101": PhotoSet(
        ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
        "3138e1922a9193bfa496528edbbc45d0",
        9_144,
        137,
        "Caltech 101, Li, Andreeto, Ranzato and Perona, 2022: https://doi.org/10.22002/D1.20086. "
        "License: CC BY 4.0.",
    ),
}
"""Photo sets by their names in ``flask gallery download``."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of pictures.

    Attributes
    ----------
    kind : {"archive", "list"}
        Type of the file.
    place : Path or tuple of str
        A local file, or addresses of the same file.
    md5, attribution : str
        Of a photo set; empty for other sources.
    """

    kind: Literal["archive", "list"]
    place: Path | tuple[str, ...]
    md5: str = ""
    attribution: str = ""


def find_source(text: str) -> Source:
    """Return the source for a photo set's name, a local file, or the address of an archive or a list.

    Raises
    ------
    DownloadError
        The text is none of these; the message lists what is possible.
    """
    if text in PHOTO_SETS:
        chosen = PHOTO_SETS[text]
        return Source("archive", chosen.urls, chosen.md5, chosen.attribution)
    place: Path | tuple[str, ...]
    if "://" in text:
        name, place = _last_part(text), (text,)
    else:
        place = Path(text).expanduser()
        name = place.name.lower()
        if not place.is_file():
            sets = ", ".join(PHOTO_SETS)
            raise DownloadError(f"{text!r} is neither a file nor a photo set. Photo sets: {sets}.")
    if name.endswith(ARCHIVE_SUFFIXES):
        return Source("archive", place)
    if name.endswith(LIST_SUFFIXES):
        return Source("list", place)
    endings = ", ".join(ARCHIVE_SUFFIXES + LIST_SUFFIXES)
    raise DownloadError(f"{text!r} is neither an archive nor a list. Their names end in: {endings}.")


def _last_part(url: str) -> str:
    try:
        return PurePosixPath(urlsplit(url).path).name.lower()
    except ValueError as error:
        raise DownloadError(f"{url!r} is not a web address: {error}.") from error
