"""Extract the pictures of an untrusted archive; called by `gallery.download.download`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from gallery.download.bounds import Bounds, Progress
from gallery.download.members import READ_ERRORS, Member, open_members
from gallery.download.names import EXTENSIONS, member_path
from gallery.download.report import Report
from gallery.download.sources import ARCHIVE_SUFFIXES
from gallery.download.spool import Spool
from gallery.scanning import name_matcher
from model.errors import DownloadError, PictureError
from model.pictures import probe

PICTURE_SUFFIXES = frozenset({*EXTENSIONS.values(), ".jpeg", ".jpe", ".jfif", ".tiff", ".heif", ".hif"})

_ignored = name_matcher()
_CHUNK = 1 << 20
_ALWAYS_ALLOWED = 1 << 30  # bytes that any archive may unpack to, whatever its own size


def extract(archive: Path, spool: Spool, bounds: Bounds, report: Report, progress: Progress) -> None:
    """Extract an archive's pictures below the folder, under their names in the archive.

    Links, devices and names that lead out of the folder are failures, and so are members with the suffix of a
    picture that are not pictures. Other members are ignored. An archive inside the archive is opened, but not
    an archive inside that one. Pictures that exist already are not changed.

    Parameters
    ----------
    archive : Path
        A zip, or a tar with or without compression.
    spool : Spool
        Folder of unfinished files; its root receives the pictures.
    bounds : Bounds
        Limits of size and number.
    report : Report
        Filled in place.
    progress : callable
        Called as ``progress(members done, all members or None)``.

    Raises
    ------
    DownloadError
        The file is not an archive, is damaged or exceeds the bounds, or the disk is full.
    """
    most = min(bounds.max_total, _ALWAYS_ALLOWED + bounds.max_ratio * archive.stat().st_size)
    _Extraction(spool, bounds, most, report, progress).unpack(archive, nested=False)


class _Extraction:
    """Extraction of one archive and of the archives inside it."""

    def __init__(self, spool: Spool, bounds: Bounds, most: int, report: Report, progress: Progress) -> None:
        self._spool = spool
        self._bounds = bounds
        self._most = most
        self._report = report
        self._progress = progress
        self._seen = 0
        self._unpacked = 0

    def unpack(self, archive: Path, *, nested: bool) -> None:
        with open_members(archive) as (members, count):
            for member in members:
                self._seen += 1
                # Ignored members count as well: a tar has to be decompressed to get past them.
                self._unpacked += member.size
                self._check_bounds(archive)
                self._extract(member, nested)
                self._progress(self._seen, None if nested else count)

    def _check_bounds(self, archive: Path) -> None:
        if self._seen > self._bounds.max_pictures:
            raise DownloadError(
                f"{archive.name} has more than {self._bounds.max_pictures:,} members, the limit."
            )
        if self._unpacked > self._most:
            raise DownloadError(f"{archive.name} unpacks to more than {self._most:,} bytes, the limit.")

    def _extract(self, member: Member, nested: bool) -> None:
        try:
            target = member_path(member.name)
        except ValueError as error:
            return self._report.fail(repr(member.name[:200]), str(error))
        if not member.is_file:
            return self._report.fail(member.name, "a link or a device")
        name = target.name.lower()
        if any(_ignored(part) for part in target.parts):
            self._report.ignored += 1
        elif name.endswith(ARCHIVE_SUFFIXES):
            self._extract_archive(member, nested)
        elif target.suffix.lower() not in PICTURE_SUFFIXES:
            self._report.ignored += 1
        elif (self._spool.root / target).exists():
            self._report.present += 1
        else:
            self._extract_picture(member, target)
        return None

    def _extract_archive(self, member: Member, nested: bool) -> None:
        if nested:
            return self._report.fail(member.name, "an archive inside an archive inside an archive")
        inner = self._spool.path("inner")
        try:
            if self._copy(member, inner, self._most):
                self.unpack(inner, nested=True)
        finally:
            inner.unlink(missing_ok=True)
        return None

    def _extract_picture(self, member: Member, target: PurePosixPath) -> None:
        unfinished = self._spool.path("member")
        try:
            if not self._copy(member, unfinished, self._bounds.max_bytes):
                return
            probe(unfinished)
            size = unfinished.stat().st_size
            if reason := self._spool.place(unfinished, target):
                self._report.fail(member.name, reason)
            else:
                self._report.written += 1
                self._report.bytes += size
        except PictureError as error:
            self._report.fail(member.name, f"{error.code}: {error}")
        finally:
            unfinished.unlink(missing_ok=True)

    def _copy(self, member: Member, path: Path, most: int) -> bool:
        """Copy a member into a file; return False if that failed, after adding it to the report."""
        self._spool.check_free_space()
        left = most
        try:
            with member.open() as source, path.open("wb") as file:
                while data := source.read(_CHUNK):
                    left -= len(data)
                    if left < 0:
                        self._report.fail(member.name, f"larger than the {most:,} bytes allowed")
                        return False
                    self._spool.write(file, data)
        except READ_ERRORS as error:
            self._report.fail(member.name, f"cannot be unpacked: {error}")
            return False
        return True
