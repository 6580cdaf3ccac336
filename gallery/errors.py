"""Errors of the gallery, branches of Vitrine's error tree; raised in `gallery`, caught by its callers."""

from __future__ import annotations

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


class FingerprintError(StoreError):
    """The index was made with another encoder; the message names the command that fixes it."""

    code = "index_mismatch"


class PathRefusedError(StoreError):
    """A path leads out of the gallery's folder or into Vitrine's own data, or is not a regular file."""


class ItemMissingError(StoreError):
    """The index has no such item."""

    code = "item_gone"
