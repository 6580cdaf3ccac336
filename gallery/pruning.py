"""Remove what no index needs any more."""

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
    """How many generations and thumbnail files were removed."""

    generations: int
    thumbnails: int


def prune(index_dirs: Collection[Path], thumbnails_dir: Path) -> Pruned:
    """Remove generations older than the previous one that nobody reads, and thumbnails of no remaining
    generation.

    Parameters
    ----------
    index_dirs : collection of Path
        Every index that shares the thumbnails; none is written meanwhile.
    thumbnails_dir : Path
        The thumbnails.

    Raises
    ------
    IndexBusyError
        One of them is being written, so that its thumbnails are not known yet.
    IndexCorruptError
        A generation's items cannot be read, so that its thumbnails are not known.
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
