"""Remove old generations, and thumbnails that no index needs; called by ``flask gallery prune``."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gallery import generations
from gallery.catalog import Catalog
from gallery.files import writing
from gallery.locks import exclusive
from gallery.thumbnails import Thumbnails


@dataclass(frozen=True, slots=True)
class Pruned:
    """Number of generations and of thumbnail files that were removed."""

    generations: int
    thumbnails: int


def prune(index_dirs: Collection[Path], thumbnails_dir: Path) -> Pruned:
    """Remove unused generations, and thumbnails that belong to none of the remaining ones.

    The generation in use and the one before it stay, and so does every generation that a process has open.

    Parameters
    ----------
    index_dirs : collection of Path
        Every index that shares the thumbnails; all are locked meanwhile.
    thumbnails_dir : Path
        The folder of thumbnails.

    Raises
    ------
    IndexBusyError
        Another process is writing one of the indexes, so that the thumbnails it needs are not known yet.
    IndexCorruptError
        The items of a generation cannot be read, so that the thumbnails it needs are not known.
    """
    removed, used = 0, set[str]()
    with writing(thumbnails_dir), ExitStack() as locks:
        for index_dir in index_dirs:
            locks.enter_context(exclusive(index_dir))
        for index_dir in index_dirs:
            removed += len(generations.remove_unused(index_dir))
            for name in generations.names(index_dir):
                used |= _contents(index_dir, name)
        return Pruned(removed, Thumbnails(thumbnails_dir).prune(used))


def _contents(index_dir: Path, name: str) -> set[str]:
    with Catalog(generations.Generation(index_dir, name, pointer=name)) as catalog:
        return catalog.contents()
