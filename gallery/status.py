"""How an index stands to its model and its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gallery.catalog import Catalog, Item
from gallery.errors import StoreError
from gallery.manifest import Manifest
from gallery.scanning import Skipped
from gallery.store import Store
from model.fingerprint import Fingerprint


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` found.

    Attributes
    ----------
    manifest : Manifest
        Model, count, root and more.
    generation : str
        The generation that serves.
    damaged : bool
        Whether the newest generation is damaged, so that an older one serves.
    matches : bool
        Whether the index was made with the encoder in use.
    changed : list of Skipped
        Items whose file is missing, changed or unreadable, and which of these.
    """

    manifest: Manifest
    generation: str
    damaged: bool
    matches: bool
    changed: list[Skipped]


def status(index_dir: Path, fingerprint: Fingerprint) -> Status:
    """Check an index: its checksums, its encoder, and every file.

    Parameters
    ----------
    index_dir : Path
        The index.
    fingerprint : Fingerprint
        Of the encoder in use.

    Raises
    ------
    IndexMissingError, IndexCorruptError
        There is none, or none is sound.
    """
    with Store.open(index_dir) as store:
        return Status(
            manifest=store.catalog.manifest,
            generation=store.generation,
            damaged=store.catalog.replaces_damaged,
            matches=store.fingerprint == fingerprint,
            changed=list(_changed(store.catalog)),
        )


def _changed(catalog: Catalog) -> Iterator[Skipped]:
    for item in catalog.page(0, len(catalog)):
        reason = _change(catalog, item)
        if reason:
            yield Skipped(item.path, reason)


def _change(catalog: Catalog, item: Item) -> str:
    try:
        path = catalog.file(item)
        found = path.stat()
        if (found.st_size, found.st_mtime_ns) != (item.size, item.mtime):
            return "changed"
        path.open("rb").close()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except StoreError as error:
        return str(error)
    return ""
