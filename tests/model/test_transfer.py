"""Downloads that resume, are checked, and keep within limits."""

from __future__ import annotations

import contextlib
import hashlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.errors import DownloadError
from model.transfer import Limits, download
from model.transfer.partfile import Check, part_file
from model.transfer.web import new_session
from model.version import version
from tests.support.http import Page, Site, serving

BODY = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
QUICK = Limits(attempts=3, pause=0.001, connect_timeout=2.0, read_timeout=2.0)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "weights.pth"


def refused(url: str | list[str], target: Path, **options: Any) -> str:
    """Check that the download fails without leaving a file, and return the message, which is one line."""
    with pytest.raises(DownloadError) as caught:
        download(url, target, **{"limits": QUICK, **options})
    assert not target.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_requests_name_the_version_that_runs() -> None:
    assert new_session().headers["User-Agent"] == f"Vitrine/{version()} (self-hosted visual search)"


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_download_reports_progress_and_leaves_only_the_file(site: Site, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    url = site.put("/w", BODY)
    assert download(url, target, sha256=SHA256, progress=lambda *step: seen.append(step)) == target
    assert target.read_bytes() == BODY
    assert leftovers(target) == ["weights.pth"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_requests_name_vitrine_and_ask_for_uncompressed_bytes(site: Site, target: Path) -> None:
    download(site.put("/w", BODY), target)
    assert site.asked[0].headers["user-agent"].startswith("Vitrine/")
    assert site.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("checksum", [{"sha256": SHA256}, {"md5": MD5}, {"sha256": SHA256.upper()}])
def test_an_existing_file_with_the_right_checksum_is_not_requested(
    site: Site, target: Path, checksum: dict[str, str]
) -> None:
    target.parent.mkdir()
    target.write_bytes(BODY)
    assert download(site.put("/w", b"other"), target, **checksum) == target
    assert site.asked == []


def test_an_existing_file_with_a_wrong_checksum_is_replaced(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"an older file")
    download(site.put("/w", BODY), target, sha256=SHA256)
    assert target.read_bytes() == BODY


def test_a_broken_connection_resumes_where_it_broke_off(site: Site, target: Path) -> None:
    url = site.put("/w", Page(BODY, etag='"1"', breaks=[300_000, 200_000]))
    download(url, target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert site.ranges_asked() == ["", "bytes=300000-", "bytes=500000-"]
    assert site.asked[1].headers["if-range"] == '"1"'


def test_attempts_that_bring_a_megabyte_do_not_count(site: Site, target: Path) -> None:
    body = bytes(7 << 20)
    url = site.put("/w", Page(body, etag='"1"', breaks=[1 << 20] * 6))
    download(url, target, limits=QUICK)
    assert target.stat().st_size == len(body)
    assert len(site.asked) == 7


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {}])
def test_a_later_run_resumes_what_an_earlier_one_left(
    site: Site, target: Path, known: dict[str, str]
) -> None:
    url = site.put("/w", Page(BODY, etag='"1"', breaks=[300_000], statuses=[200, 404]))
    refused(url, target, **known)
    assert leftovers(target) == ["weights.pth.part", "weights.pth.part.json"]
    download(url, target, limits=QUICK, **known)
    assert target.read_bytes() == BODY
    assert site.ranges_asked()[-1] == "bytes=300000-"
    assert leftovers(target) == ["weights.pth"]


def test_an_interrupted_run_is_resumed_by_the_next(site: Site, target: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    url = site.put("/w", Page(BODY, etag='"1"'))
    with pytest.raises(KeyboardInterrupt):
        download(url, target, progress=interrupt)
    download(url, target)
    assert target.read_bytes() == BODY
    assert site.ranges_asked()[-1].startswith("bytes=")


def test_a_part_that_cannot_be_verified_is_not_kept(site: Site, target: Path) -> None:
    url = site.put("/w", Page(BODY, breaks=[300_000], statuses=[200, 404]))
    refused(url, target)
    assert leftovers(target) == []


def test_a_weak_etag_does_not_allow_resuming(site: Site, target: Path) -> None:
    download(site.put("/w", Page(BODY, etag='W/"1"', breaks=[300_000])), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert site.ranges_asked() == ["", ""]


def test_a_server_that_ignores_ranges_is_read_from_the_start(site: Site, target: Path) -> None:
    download(site.put("/w", Page(BODY, ranges=False, breaks=[300_000])), target, sha256=SHA256, limits=QUICK)
    assert target.read_bytes() == BODY
    assert site.ranges_asked() == ["", "bytes=300000-"]


def test_a_file_that_changed_on_the_server_is_downloaded_from_the_start(site: Site, target: Path) -> None:
    refused(site.put("/w", Page(b"old" * 9_999, etag='"1"', breaks=[5_000], statuses=[200, 404])), target)
    download(site.put("/w", Page(BODY, etag='"2"')), target, limits=QUICK)
    assert target.read_bytes() == BODY


def test_pieces_of_two_versions_are_detected_and_downloaded_again(site: Site, target: Path) -> None:
    url = site.put("/w", Page(b"old" * 9_999, breaks=[5_000], statuses=[200, 404]))
    refused(url, target, sha256=SHA256)
    download(site.put("/w", BODY), target, sha256=SHA256, limits=QUICK)
    assert target.read_bytes() == BODY
    assert site.ranges_asked()[-2:] == ["bytes=5000-", ""]


def test_a_part_longer_than_the_file_is_discarded(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("weights.pth.part").write_bytes(BODY + b"more")
    download(site.put("/w", BODY), target, sha256=SHA256, limits=QUICK)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("size", [len(BODY), None])
def test_a_complete_part_is_only_renamed(site: Site, target: Path, size: int | None) -> None:
    target.parent.mkdir()
    target.with_name("weights.pth.part").write_bytes(BODY)
    download(site.put("/w", BODY), target, sha256=SHA256, size=size, limits=QUICK)
    assert target.read_bytes() == BODY
    assert len(site.asked) == (0 if size else 1)


def test_a_truncated_origin_file_does_no_harm(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("weights.pth.part").write_bytes(b"anything")
    target.with_name("weights.pth.part.json").write_text('{"url": "ht')
    download(site.put("/w", Page(BODY, etag='"1"')), target, limits=QUICK)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("checksum", [{"sha256": SHA256}, {"md5": MD5}])
def test_a_file_with_a_wrong_checksum_is_never_renamed(
    site: Site, target: Path, checksum: dict[str, str]
) -> None:
    message = refused(site.put("/w", b"x" + BODY[1:]), target, **checksum)
    assert "wrong content" in message
    assert next(iter(checksum.values())) in message
    assert f"save it as {target}" in message
    assert leftovers(target) == []
    assert len(site.asked) == 1


def test_a_server_that_announces_too_much_is_detected(site: Site, target: Path) -> None:
    message = refused(site.put("/w", Page(BODY, claimed=len(BODY) + 5)), target)
    assert "broke off" in message


def test_a_wrong_length_does_no_harm_if_the_checksum_is_known(site: Site, target: Path) -> None:
    download(site.put("/w", Page(BODY, claimed=len(BODY) + 5)), target, sha256=SHA256, limits=QUICK)
    assert target.read_bytes() == BODY


def test_a_server_that_announces_too_little_is_detected(site: Site, target: Path) -> None:
    message = refused(site.put("/w", Page(BODY, claimed=1_000)), target, sha256=SHA256)
    assert "wrong content" in message


def test_a_length_other_than_the_known_one_is_refused_at_once(site: Site, target: Path) -> None:
    message = refused(site.put("/w", BODY), target, size=17)
    assert "announces 1,024,000 bytes; the file should have 17" in message


@pytest.mark.parametrize("claimed", [None, -1])
def test_a_file_that_is_too_large_is_refused(site: Site, target: Path, claimed: int | None) -> None:
    url, seen = site.put("/w", Page(BODY, claimed=claimed)), []
    limits = Limits(max_bytes=100_000, attempts=1)
    message = refused(url, target, limits=limits, progress=lambda done, total: seen.append(done))
    assert "larger than the 100,000 bytes allowed" in message
    assert leftovers(target) == []
    assert seen == [] or claimed == -1


def test_a_file_without_an_announced_length_is_downloaded(site: Site, target: Path) -> None:
    seen: list[int | None] = []
    download(site.put("/w", Page(BODY, claimed=-1)), target, progress=lambda done, total: seen.append(total))
    assert target.read_bytes() == BODY
    assert set(seen) == {None}


def test_mirrors_are_tried_in_turn_and_every_failure_is_reported(site: Site, target: Path) -> None:
    urls = [site.address + "/missing", site.put("/wrong", b"no"), site.put("/right", BODY)]
    download(urls, target, sha256=SHA256, limits=QUICK)
    assert target.read_bytes() == BODY
    target.unlink()
    message = refused(urls[:2], target, sha256=SHA256)
    assert f"{urls[0]}: the server answered 404" in message
    assert f"{urls[1]}: wrong content" in message


def test_a_busy_server_is_retried_and_a_missing_file_is_not(site: Site, target: Path) -> None:
    download(site.put("/busy", Page(BODY, statuses=[503, 429])), target, limits=QUICK)
    assert len(site.asked) == 3
    target.unlink()
    assert "404" in refused(site.address + "/missing", target)
    assert len(site.asked) == 4


def test_a_server_that_stays_busy_is_abandoned(site: Site, target: Path) -> None:
    message = refused(site.put("/busy", Page(BODY, status=503)), target)
    assert "503" in message
    assert "(3 attempts)" in message
    assert len(site.asked) == 3


def test_retry_after_is_respected_up_to_the_deadline(site: Site, target: Path) -> None:
    page = Page(BODY, status=503, headers={"Retry-After": "86400"})
    message = refused(site.put("/busy", page), target, limits=Limits(max_seconds=0.05))
    assert "not finished after" in message
    assert len(site.asked) == 1


def test_redirects_are_followed_and_cycles_are_refused(site: Site, target: Path) -> None:
    site.put("/w", BODY)
    download(site.redirect("/a", "/w"), target, limits=QUICK)
    assert target.read_bytes() == BODY
    target.unlink()
    site.asked.clear()
    site.redirect("/one", "/two")
    assert "too many redirects" in refused(site.redirect("/two", "/one"), target)
    assert len(site.asked) == 11


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "http://", "gopher:x"]
)
def test_only_http_addresses_are_allowed(site: Site, target: Path, url: str) -> None:
    assert "http" in refused(url, target)
    if ":" in url and not url.startswith("http"):
        assert "http" in refused(site.redirect("/w", url), target)


def test_a_slow_server_is_abandoned_at_the_deadline(site: Site, target: Path) -> None:
    url = site.put("/w", Page(BODY, drip=0.01))
    assert "not finished after" in refused(url, target, limits=Limits(max_seconds=0.1))


def test_a_server_that_stops_sending_is_abandoned(site: Site, target: Path) -> None:
    url = site.put("/w", Page(silent=True))
    message = refused(url, target, limits=Limits(attempts=2, pause=0.001, read_timeout=0.1))
    assert "stopped sending data" in message
    assert len(site.asked) == 2


def test_no_network_is_an_error_of_one_line_with_a_hint(target: Path) -> None:
    message = refused("http://127.0.0.1:9/w", target, sha256=SHA256)
    assert "no connection; check the network" in message
    assert message.endswith(f"save it as {target} and run the command again.")


def test_an_unknown_host_is_an_error_of_one_line(target: Path) -> None:
    assert "the host is unknown" in refused("http://nowhere.invalid/w", target, limits=Limits(attempts=1))


def test_a_proxy_from_the_environment_is_used(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.address)
    site.pages["http://weights.example/w"] = Page(BODY)
    download("http://weights.example/w", target)
    assert target.read_bytes() == BODY


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Limit files to `size` bytes, which fails like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_only_half_of_the_last_piece_is_full(site: Site, target: Path) -> None:
    url = site.put("/w", Page(BODY, claimed=-1))
    with disk_of(len(BODY) - 10):
        assert "cannot be written" in refused(url, target)


def test_a_full_disk_is_an_error_and_the_bytes_so_far_are_kept(site: Site, target: Path) -> None:
    url = site.put("/w", Page(BODY, etag='"1"'))
    with disk_of(300_001):
        message = refused(url, target)
    assert f"{target}.part cannot be written" in message
    download(url, target, limits=QUICK)
    assert site.ranges_asked() == ["", "bytes=300001-"]
    assert target.read_bytes() == BODY


def test_a_file_larger_than_the_free_disk_is_refused_before_it_is_downloaded(
    site: Site, target: Path
) -> None:
    url = site.put("/w", Page(BODY, claimed=1 << 62))
    assert "free some space" in refused(url, target, limits=Limits(max_bytes=1 << 63))


def test_a_folder_that_cannot_be_created_is_an_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written"):
        download(site.put("/w", BODY), tmp_path / "file" / "weights.pth")


def test_two_downloads_of_one_file_do_not_mix(site: Site, target: Path) -> None:
    with part_file(target, Check("sha256", SHA256, None)):
        assert "another process" in refused(site.put("/w", BODY), target)
    assert site.asked == []
