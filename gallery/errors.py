"""Errors of the gallery, branches of Vitrine's error tree; raised in `gallery`, caught by its callers."""

from __future__ import annotations

import shlex

from model.errors import VitrineError


class StoreError(VitrineError):
    """The index cannot be written or used; base of all errors below."""


class IndexMissingError(StoreError):
    """There is no index yet; the message names the command that makes one."""

    code = "no_index"


class IndexCorruptError(StoreError):
    """A file of the index differs from what was written, such as by a flipped byte or a truncation."""

    code = "no_index"


class IndexBusyError(StoreError):
    """Another process is writing this index."""

    code = "busy"


class NoPictureError(StoreError):
    """A folder has no picture that can be used; perhaps its disk is not mounted."""

    code = "no_picture"


class OtherGalleryError(StoreError):
    """The index is of another folder, which would be replaced.

    Attributes
    ----------
    before : str
        The folder that is indexed now.
    """

    code = "other_gallery"

    def __init__(self, before: str, count: int, root: str) -> None:
        super().__init__(
            f"The index is of another folder: {before} ({_pictures(count)}), not {root}. It is left as it is."
            " To replace that gallery: pass --replace. To search both folders, index one that contains both."
        )
        self.before = before


class ManyMissingError(StoreError):
    """Many items are missing, and would be removed from the index."""

    code = "many_missing"

    def __init__(self, root: str, missing: list[str], count: int) -> None:
        super().__init__(
            f"{len(missing):,} of {_pictures(count)} are missing in {root} or cannot be read, such as"
            f" {missing[0]!a}. The index is left as it is: if a disk is not mounted, mount it. To remove the"
            f" missing pictures from the index: flask gallery index {shlex.quote(root)} --prune"
        )


class FingerprintError(StoreError):
    """The index was made with another encoder; the message names the command that fixes it."""

    code = "index_mismatch"


class PathRefusedError(StoreError):
    """A path leads out of the gallery's folder or into Vitrine's own data, or is not a regular file."""


class ItemMissingError(StoreError):
    """The index has no such item."""

    code = "item_gone"


def _pictures(count: int) -> str:
    return f"{count:,} {'picture' if count == 1 else 'pictures'}"
