"""Downloads of archives and photo sets, and hostile archives."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gallery.download import Bounds, Report, download, sources
from gallery.errors import IndexBusyError
from gallery.locks import exclusive
from model.errors import DownloadError
from tests.support import archives, pictures
from tests.support.http import Page, Site

JPEG = pictures.encoded(pictures.scene(), "JPEG")
PNG = pictures.encoded(pictures.scene(), "PNG")
GOOD = {"cats/a.jpg": JPEG, "cats/b.PNG": PNG, "dogs/c.jpeg": JPEG}


def reasons(report: Report) -> dict[str, str]:
    return {failure.source: failure.reason for failure in report.failed}


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_a_tar_of_any_compression_is_unpacked(tmp_path: Path, root: Path, compression: str) -> None:
    path = tmp_path / "pictures.tar"
    path.write_bytes(archives.tar_bytes({**GOOD, "readme.txt": b"hello"}, compression))
    seen: list[tuple[int, int | None]] = []
    report = download(str(path), root, progress=lambda *step: seen.append(step))
    assert (report.written, report.ignored, report.failed) == (3, 1, [])
    assert archives.files_below(root) == set(GOOD)
    assert (root / "cats" / "a.jpg").read_bytes() == JPEG
    assert seen[-1] == (4, None)
    assert path.exists()


def test_a_zip_is_unpacked_and_its_progress_has_an_end(tmp_path: Path, root: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = archives.make_zip(tmp_path / "pictures.zip", GOOD)
    report = download(str(path), root, progress=lambda *step: seen.append(step))
    assert report.written == 3
    assert report.bytes == sum(map(len, GOOD.values()))
    assert seen == [(1, 3), (2, 3), (3, 3)]


ESCAPES = ["../out.jpg", "cats/../../out.jpg", "/etc/out.jpg", "..\\out.jpg", "C:\\out.jpg", "a\nb.jpg"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_member_escapes_from_the_folder(tmp_path: Path, root: Path, kind: str) -> None:
    members = {**dict.fromkeys(ESCAPES, JPEG), "x" * 300 + ".jpg": JPEG, "good.jpg": JPEG}
    path = tmp_path / f"climbers.{kind}"
    if kind == "zip":
        archives.make_zip(path, members)
    else:
        path.write_bytes(archives.tar_bytes(members))
    report = download(str(path), root)
    assert archives.files_below(tmp_path) == {"gallery/good.jpg", path.name}
    assert len(report.failed) == len(ESCAPES) + 1
    assert set(reasons(report).values()) == {
        "its name is not relative",
        "its name leads out of the folder",
        "its name is not text",
        "its name is too long",
    }


def test_links_devices_and_pipes_are_refused(tmp_path: Path, root: Path) -> None:
    tar = tmp_path / "odd.tar.gz"
    tar.write_bytes(archives.tar_bytes(GOOD, odd=True))
    report = download(str(tar), root)
    assert set(reasons(report)) == {"symlink.jpg", "hardlink.jpg", "device.jpg", "pipe.jpg"}
    assert archives.files_below(root) == set(GOOD)
    path = archives.make_zip(tmp_path / "odd.zip", {}, links={"link.jpg": "/etc/passwd"})
    assert reasons(download(str(path), root)) == {"link.jpg": "a link or a device"}


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path, root: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "cats").symlink_to(outside)
    report = download(str(archives.make_zip(tmp_path / "a.zip", {"cats/a.jpg": JPEG})), root)
    assert reasons(report) == {"cats/a.jpg": "a link leads its folder out of the gallery"}
    assert list(outside.iterdir()) == []


def test_only_pictures_are_written(tmp_path: Path, root: Path) -> None:
    members = {
        "page.jpg": b"<!doctype html><title>404",
        "bomb.png": pictures.png_bomb(10_000, 10_000),
        "empty.gif": b"",
        "script.sh": b"rm -rf /",
        ".hidden.jpg": JPEG,
        "__MACOSX/._a.jpg": b"resource",
        "good.jpg": JPEG,
    }
    report = download(str(archives.make_zip(tmp_path / "a.zip", members)), root)
    assert archives.files_below(root) == {"good.jpg"}
    assert report.ignored == 3
    assert {name: reason.split(":")[0] for name, reason in reasons(report).items()} == {
        "page.jpg": "unsupported_format",
        "bomb.png": "too_many_pixels",
        "empty.gif": "empty",
    }


def test_a_file_and_a_folder_of_the_same_name_are_one_failure(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(archives.tar_bytes({"a.jpg": JPEG, "a.jpg/b.jpg": JPEG, "c.jpg": JPEG}, ""))
    report = download(str(path), root)
    assert reasons(report) == {"a.jpg/b.jpg": "a file and a folder would have the same name"}
    assert archives.files_below(root) == {"a.jpg", "c.jpg"}


def test_an_archive_inside_an_archive_is_opened_and_no_deeper(tmp_path: Path, root: Path) -> None:
    deeper = archives.tar_bytes({"deep.jpg": JPEG})
    inner = archives.tar_bytes({"set/a.jpg": JPEG, "set/deeper.tgz": deeper})
    path = archives.make_zip(tmp_path / "a.zip", {"set.tar.gz": inner, "b.jpg": JPEG})
    report = download(str(path), root)
    assert archives.files_below(root) == {"set/a.jpg", "b.jpg"}
    assert reasons(report) == {"set/deeper.tgz": "an archive inside an archive inside an archive"}


def test_a_damaged_member_is_one_failure_among_good_ones(tmp_path: Path, root: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", {"a.jpg": JPEG, "b.jpg": JPEG})
    data = bytearray(path.read_bytes())
    data[data.index(b"a.jpg") + 100] ^= 0xFF
    path.write_bytes(data)
    report = download(str(path), root)
    assert archives.files_below(root) == {"b.jpg"}
    assert reasons(report)["a.jpg"].startswith("cannot be unpacked")


@pytest.mark.parametrize("cut", [0.2, 0.9])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_truncated_archive_is_reported_as_damaged(
    tmp_path: Path, root: Path, kind: str, cut: float
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        archives.make_zip(path, GOOD)
    else:
        path.write_bytes(archives.tar_bytes({"noise.jpg": os.urandom(50_000), **GOOD}))
    os.truncate(path, int(path.stat().st_size * cut))
    with pytest.raises(DownloadError, match=f"a.{kind} is not an archive, or is damaged"):
        download(str(path), root)


def test_an_archive_that_unpacks_to_too_much_is_stopped(tmp_path: Path, root: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", {"zeros.bin": bytes(2_000_000), "a.jpg": JPEG})
    with pytest.raises(DownloadError, match="unpacks to more than 1,000,000 bytes"):
        download(str(path), root, bounds=Bounds(max_total=1_000_000))
    with pytest.raises(DownloadError, match="more than 1 members"):
        download(str(path), root, bounds=Bounds(max_pictures=1))
    report = download(str(path), root, bounds=Bounds(max_bytes=100))
    assert reasons(report) == {"a.jpg": "larger than the 100 bytes allowed"}
    assert archives.files_below(root) == set()


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(archives.tar_with_header_bomb(20 << 20))
    with pytest.raises(DownloadError, match="a header claims"):
        download(str(path), root)


def test_a_second_run_keeps_present_pictures_and_restores_missing_ones(tmp_path: Path, root: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", GOOD)
    download(str(path), root)
    assert download(str(path), root).present == 3
    (root / "cats" / "a.jpg").unlink()
    report = download(str(path), root)
    assert (report.written, report.present) == (1, 2)


def test_an_archive_is_downloaded_unpacked_and_removed(site: Site, root: Path, tmp_path: Path) -> None:
    body = archives.tar_bytes(GOOD)
    url = site.put("/set.tar.gz?token=1", Page(body, etag='"1"', breaks=[100]))
    seen: list[tuple[int, int | None]] = []
    report = download(url, root, byte_progress=lambda *step: seen.append(step))
    assert report.written == 3
    assert seen[-1] == (len(body), len(body))
    assert not list(root.glob(".download/*.gz*"))
    site.asked.clear()
    assert download(url, root).present == 3
    assert site.asked == []


def test_a_complete_archive_is_not_downloaded_again(site: Site, root: Path) -> None:
    url = site.put("/set.zip", archives.tar_bytes(GOOD))
    with pytest.raises(DownloadError, match="more than 2 members"):
        download(url, root, bounds=Bounds(max_pictures=2))
    assert download(url, root).written + len(GOOD) - 1 == len(GOOD)
    assert len(site.asked) == 1


def test_a_photo_set_is_downloaded_by_name_checked_and_attributed(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = archives.tar_bytes(GOOD)
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    urls = (site.address + "/gone.tgz", site.put("/set.tgz", body))
    monkeypatch.setitem(sources.PHOTO_SETS, "tiny", sources.PhotoSet(urls, md5, 3, 1, "By Ann. CC0."))
    assert download("tiny", root).written == 3
    assert (root / "ATTRIBUTION.txt").read_text() == "By Ann. CC0.\n"


def test_a_photo_set_with_wrong_bytes_is_refused(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = sources.PhotoSet((site.put("/set.tgz", b"something else"),), "0" * 32, 3, 1, "By Ann.")
    monkeypatch.setitem(sources.PHOTO_SETS, "tiny", chosen)
    with pytest.raises(DownloadError, match=r"wrong content.*save it as"):
        download("tiny", root)
    assert archives.files_below(root) == set()


def test_the_photo_sets_are_web_addresses_with_checksums() -> None:
    for chosen in sources.PHOTO_SETS.values():
        assert all(url.startswith("https://") for url in chosen.urls)
        assert len(bytes.fromhex(chosen.md5)) == 16
        assert chosen.attribution


@pytest.mark.parametrize("source", ["", "nothing", "/no/such.zip", "http://h/page.html", "http://[x/a.zip"])
def test_an_unusable_source_is_refused(root: Path, source: str) -> None:
    with pytest.raises(DownloadError, match=r"neither a file|neither an archive|not a web address"):
        download(source, root)
    assert not root.exists()


def test_a_second_download_into_the_same_folder_is_refused(tmp_path: Path, root: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", GOOD)
    with exclusive(root / ".download"), pytest.raises(IndexBusyError):
        download(str(path), root)


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    path = archives.make_zip(tmp_path / "a.zip", GOOD)
    with pytest.raises(DownloadError, match="cannot be written"):
        download(str(path), path / "inside-a-file")


def test_a_disk_that_is_nearly_full_is_left_alone(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gallery.download.spool._SPARE_BYTES", 1 << 62)
    with pytest.raises(DownloadError, match="nearly full"):
        download(str(archives.make_zip(tmp_path / "a.zip", GOOD)), root)
