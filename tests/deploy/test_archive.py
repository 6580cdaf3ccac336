"""A backup is read with suspicion: nothing leaves the folder, and no damage goes unnoticed."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from app.backup.archive import BackupError, unpack, writing

PICTURE = f"uploads/{'0' * 32}.jpg"
FACTS = {
    "format": 1,
    "vitrine": "0.1.0",
    "created": "today",
    "database": "database.sqlite",
    "revision": "0001",
}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40)
    with writing(tmp_path / "b.tar") as archive:
        archive.add_bytes("backup.json", json.dumps(FACTS).encode())
        archive.add("database.sqlite", source)
        archive.add(PICTURE, source)
    return tmp_path / "b.tar"


def crafted(tmp_path: Path, *members: tuple[str, bytes], **header: object) -> Path:
    """A tar with right checksums whose last member but one has the given header."""
    path = tmp_path / "crafted.tar"
    named = [("backup.json", json.dumps(FACTS).encode()), *members]
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in named)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in [*named, ("SHA256SUMS", sums.encode())]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name == named[-1][0]:
                for key, value in header.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def refused(path: Path, folder: Path) -> str:
    with pytest.raises(BackupError) as caught:
        unpack(path, folder)
    return str(caught.value)


def test_a_backup_comes_back_as_it_was(backup: Path, tmp_path: Path) -> None:
    assert unpack(backup) == FACTS
    assert unpack(backup, tmp_path / "out") == FACTS
    assert (tmp_path / "out" / PICTURE).read_bytes() == (tmp_path / "source").read_bytes()


def test_the_usual_tools_read_it_too(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "by-hand").mkdir()
    for command in (["tar", "xf", str(backup)], ["sha256sum", "--check", "--strict", "SHA256SUMS"]):
        subprocess.run(command, cwd=tmp_path / "by-hand", check=True, capture_output=True)


def test_every_flipped_byte_is_noticed(backup: Path) -> None:
    whole, unused = backup.read_bytes(), []
    for position in range(0, len(whole) - 1024, 61):
        backup.write_bytes(whole[:position] + bytes([whole[position] ^ 0x21]) + whole[position + 1 :])
        try:
            unpack(backup)
        except BackupError:
            continue
        unused.append(position)
    # Only the zeros that fill a member's last block may change.
    assert all(whole[position] == 0 for position in unused)
    assert len(unused) < 30


def test_a_backup_that_was_cut_off_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    for length in (0, 100, 512, 2000, 12_000, len(whole) - 1024 - 512):
        backup.write_bytes(whole[:length])
        with pytest.raises(BackupError):
            unpack(backup)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "uploads/../../evil",
        "uploads/.hidden",
        "uploads",
        "secret_key",
        "uploads/a\nb",
        "uploads//a",
        "uploads/a/b/c/d/e/f",
        "thumbnails/..",
    ],
)
def test_a_name_that_no_backup_has_is_refused(tmp_path: Path, name: str) -> None:
    path = crafted(tmp_path, (name, b"x"))
    before = sorted(tmp_path.rglob("*"))
    assert "which no backup does" in refused(path, tmp_path / "out")
    assert set(tmp_path.rglob("*")) - set(before) <= {tmp_path / "out"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_only_plain_files_are_accepted(tmp_path: Path, kind: bytes) -> None:
    path = crafted(tmp_path, (PICTURE, b""), type=kind, linkname="/etc/passwd")
    assert "is refused" in refused(path, tmp_path / "out")
    assert not (tmp_path / "out" / PICTURE).exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_headers_that_extend_others_are_not_followed(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo(PICTURE)
    header.type, header.size = kind, 1 << 40
    path = tmp_path / "extended.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "cannot be read" in (said := refused(path, tmp_path / "out")) or "is refused" in said


def test_a_size_beyond_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo(PICTURE)
    header.size = 1 << 50
    path = tmp_path / "large.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "was cut off" in refused(path, tmp_path / "out")


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = crafted(tmp_path, (PICTURE, b"one"), (PICTURE, b"two"))
    assert "File exists" in refused(path, tmp_path / "out")


def test_a_newer_format_names_the_version_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FACTS, "format", 2)
    monkeypatch.setitem(FACTS, "vitrine", "9.0")
    assert "made by Vitrine 9.0" in refused(crafted(tmp_path), tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"not a tar", bytes(5000), b"x" * 5000])
def test_another_file_is_no_backup(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    assert "it is not a backup" in refused(tmp_path / "other", tmp_path / "out")


@pytest.mark.parametrize("error", [KeyboardInterrupt, BackupError])
def test_nothing_is_left_of_a_backup_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with writing(tmp_path / "b.tar") as archive:
            archive.add_bytes("backup.json", b"{}")
            raise error

    with pytest.raises(error):
        fail()
    assert not list(tmp_path.iterdir())
