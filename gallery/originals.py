"""The picture files of a gallery, opened to be shown.

Called by the pages. Neither the index nor the file is trusted: an index may come from elsewhere and name any
path, and a file may have been replaced since it was indexed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gallery.catalog import Catalog, Item, thumbnail_file
from gallery.errors import ItemMissingError
from gallery.folders import check_root, open_below
from model.errors import PictureError
from model.pictures import FORMATS, probe

_SHA256 = re.compile(r"[0-9a-f]{64}")
_JPEG = b"\xff\xd8\xff"


class Original(NamedTuple):
    """A picture file, open at its beginning, and its format, one of `model.pictures.FORMATS`."""

    file: BinaryIO
    format: str


def open_original(catalog: Catalog, item: Item, private: Collection[Path]) -> Original:
    """Open the file of an item if it was a picture when it was indexed and is one now.

    Parameters
    ----------
    catalog : Catalog
        Its manifest names the gallery's folder.
    item : Item
        One of its items.
    private : collection of Path
        Folders that must not be shown; see `gallery.folders.check_root`.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    StoreError
        The folder may not be a gallery, or the path leads out of it.
    ItemMissingError
        The file was or is not a picture.
    """
    if not was_picture(item):
        raise ItemMissingError(f"{item.path} was not a picture when it was indexed.")
    root = Path(catalog.manifest.root)
    check_root(root.resolve(), private)
    file = open_below(root, item.path, private)
    try:
        kind = probe(file).format
        file.seek(0)
    except PictureError as error:
        file.close()
        raise ItemMissingError(f"{item.path} is not a picture: {error}") from error
    except BaseException:
        file.close()
        raise
    return Original(file, kind)


def open_thumbnail(thumbnails_dir: Path, item: Item, *, large: bool = False) -> BinaryIO:
    """Open the thumbnail that was made when an item was indexed.

    Raises
    ------
    OSError
        It is missing or cannot be read.
    StoreError
        It is not in `thumbnails_dir`.
    ItemMissingError
        The item was not a picture, or the file is not a JPEG.
    """
    if not was_picture(item):
        raise ItemMissingError(f"{item.path} was not a picture when it was indexed.")
    path = thumbnail_file(thumbnails_dir, item.sha256, large=large).relative_to(thumbnails_dir)
    file = open_below(thumbnails_dir, path.as_posix())
    if file.read(len(_JPEG)) != _JPEG:
        file.close()
        raise ItemMissingError(f"The thumbnail of {item.path} is not a JPEG.")
    file.seek(0)
    return file


def was_picture(item: Item) -> bool:
    """Return whether an item was decoded when it was indexed."""
    return item.format in FORMATS and _SHA256.fullmatch(item.sha256) is not None
