"""What can go wrong with an index, as branches of Vitrine's error tree."""

from __future__ import annotations

from model.errors import VitrineError


class StoreError(VitrineError):
    """The index could not be written or used; base of all below."""


class IndexMissingError(StoreError):
    """There is no index yet; the message names the command that makes one."""

    code = "no_index"


class IndexCorruptError(StoreError):
    """A file of the index is not the one that was written: a byte flipped, an end cut off."""

    code = "no_index"


class IndexBusyError(StoreError):
    """Another process is writing this index."""

    code = "busy"


class FingerprintError(StoreError):
    """The index was made with another encoder than the query; the message names the mending command."""

    code = "index_mismatch"


class ItemMissingError(StoreError):
    """The index holds no such item."""

    code = "item_gone"
