"""Keep the files of a site from other users of the machine, whatever the umask of the shell.

Every entry point calls `restrict_new_files` before it reads the settings, which may create the first file,
and `restrict` afterwards for files of earlier versions.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from config import Settings

_OTHERS = 0o077
# Only what Vitrine makes: DATA_DIR may be a folder with other things in it.
_PARTS = (
    *("demo", "downloads", "evaluation", "indexes", "logs", "models", "redis", "thumbnails", "uploads"),
    *("run.lock", "secret_key", "site_id"),
)

log = logging.getLogger(__name__)


def restrict_new_files() -> None:
    """Give access to the files that this process and its children create to their owner alone."""
    os.umask(_OTHERS)


def restrict(settings: Settings) -> None:
    """Take away other users' access to ``DATA_DIR`` and the database, and say so once.

    A private ``DATA_DIR`` is not searched: nobody else reaches what is inside.
    """
    changed = sum(_restrict(path) for path in _database_files(settings))
    if _restrict(settings.data_dir):
        changed += 1 + sum(_restrict(path) for path in _contents(settings.data_dir))
    if changed:
        log.warning(
            "other users of this machine could read %s; files and folders made private: %d",
            settings.data_dir,
            changed,
        )


def _database_files(settings: Settings) -> list[Path]:
    """Return the files of a SQLite database, which may lie outside of ``DATA_DIR``."""
    url = sa.make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return []
    return [Path(f"{url.database}{suffix}") for suffix in ("", "-wal", "-shm")]


def _contents(directory: Path) -> Iterator[Path]:
    for name in _PARTS:
        part = directory / name
        yield part
        for parent, folders, files in os.walk(part):  # does not follow links
            yield from (Path(parent, name) for name in (*folders, *files))


def _restrict(path: Path) -> bool:
    """Take away other users' access; return whether there was any."""
    try:
        mode = path.lstat().st_mode
        if not mode & _OTHERS or stat.S_ISLNK(mode) or mode & stat.S_ISVTX:  # a shared folder such as /tmp
            return False
        path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("other users may be able to read %s: %s", path, error.strerror)
        return False
    return True
