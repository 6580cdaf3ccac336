"""Archives for tests: ordinary ones, and hostile ones with links, devices and huge headers."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def make_zip(path: Path, members: Mapping[str, bytes], *, links: Mapping[str, str] | None = None) -> Path:
    """Write a zip with `members`, and with symbolic `links` as Unix archivers write them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return path


def tar_bytes(members: Mapping[str, bytes], compression: str = "gz", *, odd: bool = False) -> bytes:
    """Return a tar with `members`; with `odd`, also links, a device and a pipe with names of pictures."""
    file = io.BytesIO()
    mode: Any = f"w:{compression}"
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if odd:
            for name, kind in (
                ("symlink.jpg", tarfile.SYMTYPE),
                ("hardlink.jpg", tarfile.LNKTYPE),
                ("device.jpg", tarfile.CHRTYPE),
                ("pipe.jpg", tarfile.FIFOTYPE),
            ):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, "/etc/passwd"
                archive.addfile(info)
    return file.getvalue()


def tar_with_header_bomb(size: int) -> bytes:
    """Return a tar.gz with an extended header of `size` zeros, which tarfile would read at once."""
    import gzip

    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, size
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as packed:
        packed.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
    return file.getvalue()


def files_below(root: Path) -> set[str]:
    """Return the relative paths of the visible files below `root`."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)}
