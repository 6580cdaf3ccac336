"""Small copies of the gallery's pictures for the pages, named by content and shared by all indexes.

Written by indexing and import, removed by pruning; the pages find them by `gallery.catalog.thumbnail_file`.
"""

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
        Created with the first thumbnail.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def complete(self, sha256: str, kind: str) -> bool:
        """Return whether a picture of this format has all its thumbnails; an empty file does not count."""
        return all(_has_bytes(path) for path, _ in self._expected(sha256, kind))

    def make(self, sha256: str, kind: str, image: Image.Image, *, anew: bool = False) -> None:
        """Write the thumbnails that are missing, or all of them.

        Parameters
        ----------
        sha256 : str
            Of the picture file.
        kind : str
            Its format; formats that browsers do not show get a large copy too.
        image : PIL.Image.Image
            Mode RGB, upright.
        anew : bool
            Whether thumbnails that exist are replaced.

        Raises
        ------
        StoreError
            The folder cannot be written, or the disk is full.
        """
        for path, side in self._expected(sha256, kind):
            if anew or not _has_bytes(path):
                self._write(path, jpeg(image, side, QUALITY))

    def prune(self, used: Collection[str]) -> int:
        """Remove the thumbnails of all pictures except those with these SHA-256, and return their number."""
        removed = 0
        for path in self.folder.glob("??/*"):
            if path.suffix != THUMBNAIL_SUFFIX or path.stem.removesuffix("-large") not in used:
                path.unlink()
                removed += 1
        return removed

    def _expected(self, sha256: str, kind: str) -> list[tuple[Path, int]]:
        files = [(thumbnail_file(self.folder, sha256), THUMBNAIL_SIDE)]
        if kind not in BROWSER_FORMATS:
            files.append((thumbnail_file(self.folder, sha256, large=True), LARGE_SIDE))
        return files

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
