"""Files on disk: replaced in one step, checked, and locked.

The lowest layer: standard library only, so that everything above may import it, the web process included.

A reader never sees half a file, because a file is written under another name (its draft) and renamed when it
is complete. Whether its bytes, and its name, must also have reached the disk by then depends on what a power
cut may cost:

==============================  =======================  ===================================================
file                            arguments                reason
==============================  =======================  ===================================================
``CURRENT`` and the manifest    ``sync``, ``sync_name``  The index is served from them, and older generations
of an index                                              are removed as soon as they are in place.
An uploaded picture             ``sync``                 Its row in the database is committed, hence durable.
                                                         The name is not synced: it costs a write per search,
                                                         and without it one picture is lost, which its page
                                                         says.
A fetched or converted          ``sync``                 Checked once, then used for months. A lost name
checkpoint                                               means to fetch again; lost bytes would mean wrong
                                                         vectors.
Thumbnails, exports, packs,     neither                  Made again from what they were made from. A state
states of a training                                     that was cut off does not load.
==============================  =======================  ===================================================

Three files are not written with `replacing`. A download's part file survives its process on purpose
(`model.transfer.partfile`). A picture of a downloaded gallery moves from the download's own folder
(`gallery.download.spool`). The secret key is linked and not renamed, so that of several processes the first
one's key stays (`config`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(
    target: Path, *, draft: Path | None = None, sync: bool = False, sync_name: bool = False
) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name when it is complete, in place of an older one.

    An error inside the block removes the draft and leaves the older file as it was.

    Parameters
    ----------
    target : Path
        The file; its folder must exist.
    draft : Path, optional
        The name to write under, in the same file system. A draft that a killed process left is overwritten,
        so give one where only one process writes at a time. By default the name is hidden, ends in ``.part``,
        and holds the numbers of process and thread.
    sync : bool
        Have the bytes on the disk before the rename: after a power cut, the name stands for the whole file.
    sync_name : bool
        Have the rename on the disk on return. Names of other files in the folder get there with it.

    Yields
    ------
    file
        Open for writing bytes; it can be sought.

    Raises
    ------
    OSError
        The disk is full or failing, or the folder is missing or cannot be written.
    """
    if draft is None:
        draft = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with draft.open("wb") as file:
            yield file
            if sync:
                sync_file(file)
        draft.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error tells more than a second one while cleaning up
            draft.unlink()
        raise
    if sync_name:
        sync_folder(target.parent)


def sync_file(file: IO[bytes]) -> None:
    """Return when what was written to an open file has reached the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Return when the names in a folder have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def try_lock(file: IO[bytes] | IO[str] | int, *, shared: bool = False) -> bool:
    """Lock an open file or folder without waiting, and return whether that succeeded.

    The lock (`flock`) belongs to the open file: it holds among processes and among several opens in one
    process, forked children inherit it, and it ends when the last copy is closed, however the process ends.

    Parameters
    ----------
    file : file or int
        An open file, or the descriptor of a file or folder.
    shared : bool
        Share it with others that share it, instead of being the only holder.

    Raises
    ------
    OSError
        The file system has no locks, or the descriptor is closed.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):  # EACCES: some network file systems
            return False
        raise
    return True
