"""Compare an index with the model in use and with its gallery; called by ``flask gallery status``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gallery.catalog import Catalog, Item
from gallery.errors import StoreError
from gallery.manifest import Manifest
from gallery.scanning import FileIssue, change_time
from gallery.store import Store
from model.fingerprint import Fingerprint


@dataclass(frozen=True, slots=True)
class Status:
    """Result of `status`.

    Attributes
    ----------
    manifest : Manifest
        Model, count, folder and more.
    generation : str
        Name of the generation in use.
    damaged : bool
        Whether the newest generation is damaged, so that an older one is in use.
    matches : bool
        Whether the index was made with the encoder in use.
    changed : list of FileIssue
        Items whose file is missing, changed or unreadable.
    """

    manifest: Manifest
    generation: str
    damaged: bool
    matches: bool
    changed: list[FileIssue]


def status(index_dir: Path, fingerprint: Fingerprint) -> Status:
    """Check the checksums of an index, its encoder, and the file of every item.

    Parameters
    ----------
    index_dir : Path
        The index.
    fingerprint : Fingerprint
        Of the encoder in use.

    Raises
    ------
    IndexMissingError, IndexCorruptError
        There is no index, or no sound generation.
    """
    with Store.open(index_dir) as store:
        return Status(
            manifest=store.catalog.manifest,
            generation=store.generation,
            damaged=store.catalog.replaces_damaged,
            matches=store.fingerprint == fingerprint,
            changed=list(_changed(store.catalog)),
        )


def _changed(catalog: Catalog) -> Iterator[FileIssue]:
    for item in catalog.page(0, len(catalog)):
        reason = _change(catalog, item)
        if reason:
            yield FileIssue(item.path, reason)


def _change(catalog: Catalog, item: Item) -> str:
    try:
        path = catalog.file(item)
        found = path.stat()
        if (found.st_size, change_time(found)) != (item.size, item.mtime):
            return "changed"
        path.open("rb").close()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except StoreError as error:
        return str(error)
    return ""
