"""Make a pack of a git repository: ``python -m training.pack REPOSITORY COMMIT PATTERN PACKS/NAME.tar``.

Takes every picture whose path matches PATTERN; the pattern's first group, where it has one, is the class. A
picture is turned upright, laid on white where it is transparent, and scaled so that its shorter side is 160
pixels. What is smaller than 120 pixels, more than three times as long as wide, or unreadable is left out.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from model.errors import PictureError
from model.files import replacing
from model.pictures import open_rgb
from training.packs import PackError

SIDE, LEAST, MOST_ASPECT, QUALITY = 160, 120, 3, 85
NO_CLASS = "none"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.pack", description=__doc__)
    parser.add_argument("repository", metavar="REPOSITORY", help="a clone, bare or not")
    parser.add_argument("commit", metavar="COMMIT")
    parser.add_argument("pattern", type=re.compile, metavar="PATTERN", help="regular expression")
    parser.add_argument("pack", type=Path, metavar="PACK")
    options = parser.parse_args(arguments)
    count = write_pack(options.pack, matching(options.repository, options.commit, options.pattern))
    print(f"{options.pack}: {count} pictures")
    return 0


def matching(repository: str, commit: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield class, path and content of every picture of a commit whose path matches.

    Raises
    ------
    PackError
        Git fails.
    """
    command = ["git", "-C", repository, "archive", "--format=tar", commit]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise PackError(f"{' '.join(command)} gave no output.")
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    found = pattern.search(member.name)
                    content = archive.extractfile(member)
                    if found and content is not None and member.name.lower().endswith(_SUFFIXES):
                        yield (found.groups() or (NO_CLASS,))[0], member.name, content.read()
        except tarfile.ReadError as error:
            raise PackError(f"{' '.join(command)} gave no archive.") from error
    if process.returncode:
        raise PackError(f"{' '.join(command)} failed with status {process.returncode}.")


def write_pack(path: Path, pictures: Iterator[tuple[str, str, bytes]]) -> int:
    """Write a pack; `path` gets its name when the file is complete. Return how many pictures it holds."""
    count = 0
    with replacing(path) as target, tarfile.open(fileobj=target, mode="w") as pack:
        for label, name, content in pictures:
            if (picture := small(content)) is None:
                continue
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=QUALITY)
            member = tarfile.TarInfo(f"{label}/{count:06d}-{Path(name).stem}.jpg")
            member.size = file.tell()
            file.seek(0)
            pack.addfile(member, file)
            count += 1
    return count


def small(content: bytes) -> Image.Image | None:
    """Scale a picture for a pack; none if it is left out."""
    try:
        picture = open_rgb(io.BytesIO(content))
    except PictureError:
        return None
    short, long = sorted(picture.size)
    if short < LEAST or long > MOST_ASPECT * short:
        return None
    if short > SIDE:
        width, height = (round(edge * SIDE / short) for edge in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return picture


if __name__ == "__main__":
    raise SystemExit(main())
