"""Downloads of the pictures in a list of addresses."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallery.download import Bounds, Report, download
from gallery.download.names import member_path, stem_for
from gallery.download.urllist import Entry, read_list
from model.errors import DownloadError
from model.pictures import probe
from tests.support import pictures
from tests.support.archives import files_below
from tests.support.http import Page, Site

JPEG = pictures.encoded(pictures.scene(), "JPEG")
LARGE_JPEG = pictures.encoded(pictures.scene(640, 480), "JPEG")
QUICK = Bounds(delay=0.0, attempts=2, read_timeout=0.2, picture_seconds=5.0, max_bytes=100_000)


def listed(tmp_path: Path, *urls: str) -> str:
    path = tmp_path / "list.csv"
    path.write_text("url\n" + "\n".join(urls))
    return str(path)


def reasons(report: Report) -> dict[str, str]:
    return {failure.source.rpartition("/")[2]: failure.reason for failure in report.failed}


def test_every_picture_of_a_list_gets_a_readable_name(site: Site, root: Path, tmp_path: Path) -> None:
    urls = [site.put(f"/photos/cat%20{number}.jpg", JPEG) for number in range(20)]
    seen: list[tuple[int, int | None]] = []
    report = download(listed(tmp_path, *urls), root, bounds=QUICK, progress=lambda *step: seen.append(step))
    assert (report.written, report.failed, report.bytes) == (20, [], 20 * len(JPEG))
    assert sorted(seen) == [(number, 20) for number in range(1, 21)]
    assert {name.rpartition("-")[0] for name in files_below(root)} == {f"cat-{n}" for n in range(20)}
    assert all((root / name).read_bytes() == JPEG for name in files_below(root))


def test_the_extension_follows_the_format_and_not_the_address(site: Site, root: Path, tmp_path: Path) -> None:
    url = site.put("/cat.jpg", Page(pictures.encoded(pictures.scene(), "WEBP"), media_type="image/jpeg"))
    download(listed(tmp_path, url), root, bounds=QUICK)
    [name] = files_below(root)
    assert name.endswith(".webp")


def test_failed_pictures_are_reported_and_stop_nothing(site: Site, root: Path, tmp_path: Path) -> None:
    site.redirect("/circle", "/circle")
    site.put("/html.jpg", Page(b"<!doctype html><h1>Log in", media_type="image/jpeg"))
    site.put("/cut.jpg", Page(LARGE_JPEG[: len(LARGE_JPEG) // 2], claimed=-1))
    site.put("/broken-off.jpg", Page(JPEG, breaks=[100, 100]))
    site.put("/large.jpg", JPEG + bytes(200_000))
    site.put("/silent.jpg", Page(silent=True))
    site.put("/bomb.gif", pictures.gif(9_000, 9_000))
    site.put("/empty.jpg", b"")
    site.put("/busy.jpg", Page(status=503))
    names = ["circle", *(path[1:] for path in site.pages if path != "/circle"), "gone.jpg"]
    urls = [f"{site.address}/{name}" for name in names] + [site.put("/good.jpg", JPEG)]
    report = download(listed(tmp_path, *urls), root, bounds=QUICK)
    assert report.written == len(files_below(root)) == 1
    expected = {
        "circle": "too many redirects",
        "html.jpg": "unsupported_format",
        "cut.jpg": "broken",
        "broken-off.jpg": "broke off",
        "large.jpg": "larger than the 100,000 bytes",
        "silent.jpg": "stopped sending",
        "bomb.gif": "too_many_pixels",
        "empty.jpg": "empty",
        "busy.jpg": "503",
        "gone.jpg": "404",
    }
    found = reasons(report)
    assert set(found) == set(expected)
    assert {name for name, words in expected.items() if words not in found[name]} == set()
    assert [path.name for path in (root / ".download").iterdir()] == ["lock"]
    assert json.loads(json.dumps(report.as_dict()))["failed"][0].keys() == {"source", "reason"}


def test_a_second_run_requests_only_missing_pictures(site: Site, root: Path, tmp_path: Path) -> None:
    urls = [
        site.put("/a.jpg", JPEG),
        site.put("/b.jpg", Page(JPEG, statuses=[404])),
        site.put("/c.jpg", JPEG),
    ]
    first = download(listed(tmp_path, *urls), root, bounds=QUICK)
    assert (first.written, list(reasons(first))) == (2, ["b.jpg"])
    site.asked.clear()
    again = download(listed(tmp_path, *urls), root, bounds=QUICK)
    assert (again.written, again.present, again.failed) == (1, 2, [])
    assert [asked.path for asked in site.asked] == ["/b.jpg"]


def test_connections_to_one_server_are_limited(site: Site, root: Path, tmp_path: Path) -> None:
    urls = [site.put(f"/{number}.jpg", Page(JPEG, drip=0.0002)) for number in range(12)]
    download(listed(tmp_path, *urls), root, bounds=Bounds(delay=0.0, per_host=3))
    assert 2 <= site.busiest <= 3


def test_a_server_that_delivers_nothing_is_given_up(site: Site, root: Path, tmp_path: Path) -> None:
    urls = [site.put(f"/{number}.jpg", Page(silent=True)) for number in range(30)]
    bounds = Bounds(delay=0.0, attempts=1, read_timeout=0.05, host_patience=0.12, per_host=1)
    report = download(listed(tmp_path, *urls), root, bounds=bounds)
    left = [reason for reason in reasons(report).values() if "delivered nothing for too long" in reason]
    assert len(report.failed) == 30
    assert len(site.asked) + len(left) == 30
    assert len(site.asked) <= 4


def test_the_limit_of_all_bytes_is_kept(site: Site, root: Path, tmp_path: Path) -> None:
    urls = [site.put(f"/{number}.jpg", JPEG) for number in range(6)]
    bounds = Bounds(delay=0.0, per_host=1, max_total=2 * len(JPEG))
    report = download(listed(tmp_path, *urls), root, bounds=bounds)
    assert (report.written, len(site.asked)) == (2, 2)
    assert all("the limit of" in reason for reason in reasons(report).values())


def test_a_full_disk_ends_the_run(
    site: Site, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gallery.download.spool._SPARE_BYTES", 1 << 62)
    with pytest.raises(DownloadError, match="nearly full"):
        download(listed(tmp_path, site.put("/a.jpg", JPEG)), root, bounds=QUICK)


def test_an_interrupted_run_ends_soon_and_leaves_no_partial_file(
    site: Site, root: Path, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    urls = [site.put(f"/{number}.jpg", Page(JPEG, drip=0.0002)) for number in range(40)]
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        download(listed(tmp_path, *urls), root, bounds=QUICK, progress=interrupt)
    assert threading.active_count() <= before + 5  # the site's threads
    assert len(site.asked) < 40
    assert all(probe(root / name).format == "JPEG" for name in files_below(root))
    assert not [path.name for path in (root / ".download").iterdir() if path.name != "lock"]


def test_a_list_can_be_a_web_address(site: Site, root: Path) -> None:
    site.put("/list.csv", f"url\n{site.put('/a.jpg', JPEG)}\n".encode())
    assert download(site.address + "/list.csv", root, bounds=QUICK).written == 1
    assert download(site.address + "/list.csv", root, bounds=QUICK).present == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("url\nhttp://h/a.jpg\n", [("http://h/a.jpg", "")]),
        ("http://h/a.jpg\nhttps://h/b.jpg\n", [("http://h/a.jpg", ""), ("https://h/b.jpg", "")]),
        ("id,URL,Name\n1,http://h/a.jpg,Cat\n", [("http://h/a.jpg", "Cat")]),
        ("id;picture\n1;http://h/a,b.jpg\n", [("http://h/a,b.jpg", "")]),
        ("title\turl\nTom\thttp://h/a.jpg\n", [("http://h/a.jpg", "Tom")]),
        ('name,url\n"A, B","http://h/a,b.jpg"\n', [("http://h/a,b.jpg", "A, B")]),
        ("\ufeffurl\r\nHTTP://h/a.jpg\r\n\r\n", [("HTTP://h/a.jpg", "")]),
        ("url\nhttp://h/a.jpg\nhttp://h/a.jpg\n", [("http://h/a.jpg", "")]),
        ("image,url\ncat.jpg,http://h/a.jpg\n", [("http://h/a.jpg", "")]),
        ("url,label\nhttp://h/фото.jpg,猫\n", [("http://h/фото.jpg", "猫")]),
    ],
)
def test_common_forms_of_lists_are_read(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8", newline="")
    report = Report()
    assert read_list(path, 100, report) == [Entry(*pair) for pair in expected]
    assert report.failed == []


def test_a_plain_list_has_one_address_per_line_which_may_contain_commas(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("http://h/a,b.jpg\n\nhttp://h/c.jpg\n")
    assert [entry.url for entry in read_list(path, 100, Report())] == ["http://h/a,b.jpg", "http://h/c.jpg"]


def test_lines_without_an_address_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("url\nhttp://h/a.jpg\nftp://h/b.jpg\nhttp://[\n\nfile:///etc/passwd\n")
    report = Report()
    assert len(read_list(path, 100, report)) == 1
    assert [failure.source for failure in report.failed] == ["line 3", "line 4", "line 6"]


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"\0\1\2", b"url\n", b'url\n"http://h/' + b"x" * 200_000]
)
def test_a_list_without_addresses_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(DownloadError, match=r"contains no http|not a table"):
        read_list(path, 100, Report())


def test_a_list_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\n".join(f"http://h/{number}" for number in range(11)))
    with pytest.raises(DownloadError, match="more than 10 pictures"):
        read_list(path, 10, Report())


@given(url=st.text(max_size=300).map("http://h/{}".format), name=st.text(max_size=300))
def test_names_from_any_text_stay_in_the_folder(url: str, name: str) -> None:
    stem = stem_for(url, name)
    assert "/" not in stem
    assert not stem.startswith((".", "-"))
    assert len(stem.encode()) <= 100
    assert stem.isprintable()
    assert stem == stem_for(url, name)


def test_names_are_readable_in_every_script_and_differ_between_addresses() -> None:
    assert stem_for("http://h/x/%E7%8C%AB%20(1).jpeg?size=2").startswith("猫-1-")
    assert stem_for("http://h/../../etc/passwd").startswith("passwd-")
    assert stem_for("http://h/", "\u202egnp.фото").startswith("gnp-фото-")
    assert stem_for("http://h/?").startswith("picture-")
    assert stem_for("http://h/a.jpg") != stem_for("http://h/a.jpg?2")


@given(name=st.text(alphabet=st.characters(categories=("L", "P", "Cc", "N")), max_size=50))
def test_a_member_path_is_below_the_folder_or_refused(name: str) -> None:
    try:
        path = member_path(name)
    except ValueError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
