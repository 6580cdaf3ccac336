"""Take the pictures out of an archive that nobody has looked into."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from gallery.download.bounds import Bounds, Progress
from gallery.download.members import READ_ERRORS, Member, open_members
from gallery.download.names import EXTENSIONS, member_path
from gallery.download.report import Report
from gallery.download.sources import ARCHIVE_SUFFIXES
from gallery.download.spool import Spool
from model.errors import DownloadError, PictureError
from model.pictures import probe

PICTURE_SUFFIXES = frozenset({*EXTENSIONS.values(), ".jpeg", ".jpe", ".jfif", ".tiff", ".heif", ".hif"})

_CHUNK = 1 << 20
_FREE_OF_RATIO = 1 << 30


def extract(archive: Path, spool: Spool, bounds: Bounds, report: Report, progress: Progress) -> None:
    """Write an archive's pictures below the folder, under the names they have in the archive.

    Links, devices and names that lead out of the folder are failures, as is a member that calls itself a
    picture and is none. Other members are passed over; an archive inside the archive is opened, one inside
    that is not. Pictures that are there already stay as they are.

    Parameters
    ----------
    archive : Path
        A zip, or a tar with or without compression.
    spool : Spool
        Where unfinished files lie; its root takes the pictures.
    bounds : Bounds
    report : Report
        Filled in place.
    progress : callable
        Called as ``progress(members seen, members in all or None)``.

    Raises
    ------
    DownloadError
        No archive, a damaged one, one that breaks the bounds, or a full disk.
    """
    most = min(bounds.max_total, _FREE_OF_RATIO + bounds.max_ratio * archive.stat().st_size)
    _Extraction(spool, bounds, most, report, progress).unpack(archive, nested=False)


class _Extraction:
    """One archive, with what lies inside it."""

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
                # What is passed over counts as well: a tar has to be unpacked to get past it.
                self._unpacked += member.size
                self._check_bounds(archive)
                self._take(member, nested)
                self._progress(self._seen, None if nested else count)

    def _check_bounds(self, archive: Path) -> None:
        if self._seen > self._bounds.max_pictures:
            raise DownloadError(f"{archive.name} has more than {self._bounds.max_pictures:,} members.")
        if self._unpacked > self._most:
            raise DownloadError(f"{archive.name} unpacks to more than {self._most:,} bytes, the bound.")

    def _take(self, member: Member, nested: bool) -> None:
        try:
            target = member_path(member.name)
        except ValueError as error:
            return self._report.fail(repr(member.name[:200]), str(error))
        if not member.is_file:
            return self._report.fail(member.name, "a link or a device")
        name = target.name.lower()
        if any(part.startswith((".", "__MACOSX")) for part in target.parts):
            self._report.ignored += 1
        elif name.endswith(ARCHIVE_SUFFIXES):
            self._take_archive(member, nested)
        elif target.suffix.lower() not in PICTURE_SUFFIXES:
            self._report.ignored += 1
        elif (self._spool.root / target).exists():
            self._report.present += 1
        else:
            self._take_picture(member, target)
        return None

    def _take_archive(self, member: Member, nested: bool) -> None:
        if nested:
            return self._report.fail(member.name, "an archive inside an archive inside an archive")
        inner = self._spool.path("inner")
        try:
            if self._copy(member, inner, self._most):
                self.unpack(inner, nested=True)
        finally:
            inner.unlink(missing_ok=True)
        return None

    def _take_picture(self, member: Member, target: PurePosixPath) -> None:
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
        """Read a member into a file; False where that failed, which is then in the report."""
        self._spool.check_room()
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
