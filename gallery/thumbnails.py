"""Small pictures for the pages, by content and shared by the indexes of all models."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from PIL import Image

from gallery.catalog import LARGE_SIDE, THUMBNAIL_SIDE, THUMBNAIL_SUFFIX, thumbnail_file
from gallery.errors import StoreError
from model.files import replacing
from model.pictures import BROWSER_FORMATS
from model.pictures.copies import jpeg

QUALITY = 85


class Thumbnails:
    """The folder of thumbnails; safe to use from several threads and processes.

    Parameters
    ----------
    folder : Path
        Made when the first thumbnail is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def complete(self, sha256: str, kind: str) -> bool:
        """Return whether all thumbnails of a picture of this format are there (an empty file is none)."""
        return all(_has_bytes(path) for path, _ in self._wanted(sha256, kind))

    def make(self, sha256: str, kind: str, image: Image.Image) -> None:
        """Write the thumbnails that are not there yet.

        Parameters
        ----------
        sha256 : str
            Of the picture file.
        kind : str
            Its format; one that browsers do not show gets a large copy too.
        image : PIL.Image.Image
            Mode RGB, upright.

        Raises
        ------
        StoreError
            The folder cannot be written, or the disk is full.
        """
        for path, side in self._wanted(sha256, kind):
            if not _has_bytes(path):
                self._write(path, jpeg(image, side, QUALITY))

    def prune(self, used: Collection[str]) -> int:
        """Remove the thumbnails of all contents but these, and return how many files that were."""
        removed = 0
        for path in self.folder.glob("??/*"):
            if path.suffix != THUMBNAIL_SUFFIX or path.stem.removesuffix("-large") not in used:
                path.unlink()
                removed += 1
        return removed

    def _wanted(self, sha256: str, kind: str) -> list[tuple[Path, int]]:
        wanted = [(thumbnail_file(self.folder, sha256), THUMBNAIL_SIDE)]
        if kind not in BROWSER_FORMATS:
            wanted.append((thumbnail_file(self.folder, sha256, large=True), LARGE_SIDE))
        return wanted

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(data)
        except OSError as error:
            raise StoreError(f"Thumbnails cannot be written in {self.folder}: {error.strerror}.") from error


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
