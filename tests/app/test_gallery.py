"""The pages and files of the gallery."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flask import Flask

from config import Settings
from gallery.about import DEMO_MARKER
from gallery.catalog import Catalog, Item
from tests.support.galleries import tiny_index, write_picture
from tests.support.web import Browser


@pytest.fixture
def pictures(settings: Settings) -> Path:
    """An indexed gallery folder: 70 pictures, and two in formats that browsers do not show."""
    folder = settings.data_dir / "pictures"
    write_picture(folder / "odd" / "scan.tiff", 900)
    write_picture(folder / "odd" / "old.bmp", 901)
    tiny_index(settings, 70)
    return folder


@pytest.fixture
def items(pictures: Path, settings: Settings) -> dict[str, Item]:
    with Catalog.open(settings.index_dir) as catalog:
        return {item.name: item for item in catalog.page(0, 1000)}


def reindex(settings: Settings, seed: int) -> None:
    tiny_index(settings, 1, seed=seed)


def test_without_an_index_the_page_says_how_to_make_one(client: Browser) -> None:
    answer = client.get("/gallery")
    assert answer.status_code == 200
    assert "flask gallery index" in answer.text
    assert client.get("/gallery/0000000000000000").status_code == 404


def test_pages_show_every_picture_once(client: Browser, items: dict[str, Item]) -> None:
    first, second = client.get("/gallery").text, client.get("/gallery?page=2").text
    shown = [name for page in (first, second) for name in items if items[name].id in page]
    assert sorted(shown) == sorted(items)
    assert client.get("/gallery?page=3").status_code == 404


@pytest.mark.parametrize("page", ["0", "-5", "x", "9" * 30])
def test_invalid_page_numbers_are_no_server_error(client: Browser, pictures: Path, page: str) -> None:
    assert client.get(f"/gallery?page={page}").status_code in (200, 404)


@pytest.mark.parametrize("q", ["SCAN", "odd/", "scan.TIFF"])
def test_pictures_are_found_by_parts_of_their_paths(client: Browser, items: dict[str, Item], q: str) -> None:
    page = client.get("/gallery", query_string={"q": q}).text
    assert items["scan.tiff"].id in page
    assert items["000.jpg"].id not in page


@pytest.mark.parametrize("q", ["%", "_", "'", "\\", "\0", "<script>", "x" * 5000])
def test_unusual_filters_find_nothing_and_break_nothing(client: Browser, pictures: Path, q: str) -> None:
    answer = client.get("/gallery", query_string={"q": q})
    assert answer.status_code == 200
    assert "<script>" not in answer.text


def test_a_thumbnail_is_cached_under_the_address_of_its_content(
    client: Browser, items: dict[str, Item]
) -> None:
    item = items["000.jpg"]
    answer = client.get(f"/gallery/{item.id}/thumb?v={item.sha256[:16]}")
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert set(answer.headers["Cache-Control"].split(", ")) == {"private", "immutable", "max-age=31536000"}
    again = client.get(f"/gallery/{item.id}/thumb", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert "immutable" not in client.get(f"/gallery/{item.id}/thumb?v=else").headers["Cache-Control"]


def test_an_image_is_the_file_itself(client: Browser, pictures: Path, items: dict[str, Item]) -> None:
    item = items["000.jpg"]
    answer = client.get(f"/gallery/{item.id}/image")
    assert answer.data == (pictures / item.path).read_bytes()
    assert answer.mimetype == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    )


@pytest.mark.parametrize("name", ["scan.tiff", "old.bmp"])
def test_formats_that_browsers_cannot_show_are_sent_as_a_large_thumbnail(
    client: Browser, settings: Settings, items: dict[str, Item], name: str
) -> None:
    item = items[name]
    assert client.get(f"/gallery/{item.id}/image").mimetype == "image/jpeg"
    shutil.rmtree(settings.thumbnails_dir)
    answer = client.get(f"/gallery/{item.id}/image")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert client.get(f"/gallery/{item.id}/thumb").status_code == 404


def test_a_file_whose_content_has_changed_is_served_only_as_the_picture_that_it_is_now(
    client: Browser, pictures: Path, items: dict[str, Item]
) -> None:
    item = items["000.jpg"]
    write_picture(pictures / "new.png", 7).replace(pictures / item.path)
    answer = client.get(f"/gallery/{item.id}/image")
    assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")
    (pictures / item.path).write_text("<script>alert(1)</script>")
    assert client.get(f"/gallery/{item.id}/image").status_code == 404


def test_a_part_of_an_image_can_be_requested(client: Browser, pictures: Path, items: dict[str, Item]) -> None:
    item = items["000.jpg"]
    content = (pictures / item.path).read_bytes()
    part = client.get(f"/gallery/{item.id}/image", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data) == (206, content[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    assert client.get(f"/gallery/{item.id}/image", headers={"Range": "bytes=9999999-"}).status_code == 416


@pytest.mark.parametrize("item", ["../../etc", "..%2f..%2fvitrine.db", "%00", "x" * 3000, "ffffffffffffffff"])
def test_only_items_of_the_index_are_served(client: Browser, pictures: Path, item: str) -> None:
    for page in ("", "/thumb", "/image"):
        assert client.get(f"/gallery/{item}{page}").status_code == 404


def test_a_new_index_is_used_without_a_restart(
    app: Flask, client: Browser, settings: Settings, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.current.CHECK_EVERY", 0.0)
    assert "72" in client.get("/gallery").text
    write_picture(pictures / "later.png", 5000)
    reindex(settings, 0)
    assert "later.png" in client.get("/gallery", query_string={"q": "later"}).text


def test_a_damaged_index_is_no_server_error(client: Browser, settings: Settings, pictures: Path) -> None:
    for generation in (settings.index_dir / "generations").iterdir():
        (generation / "items.db").write_bytes(b"garbage")
    assert client.get("/gallery").status_code == 200
    assert client.get("/").status_code == 200


def test_find_similar_starts_a_search_with_the_item(client: Browser, items: dict[str, Item]) -> None:
    item = items["001.png"]
    first = client.post(f"/gallery/{item.id}/similar").headers["Location"]
    assert client.post(f"/gallery/{item.id}/similar").headers["Location"] == first
    assert "001.png" in client.get(first).text
    status = client.get(f"{first}/status").json
    assert status["picture_url"] == f"/gallery/{item.id}/thumb?v={item.sha256[:16]}"
    assert client.post("/gallery/ffffffffffffffff/similar").status_code == 404


def test_the_home_page_offers_pictures_to_try(client: Browser, items: dict[str, Item]) -> None:
    page = client.get("/").text
    assert sum(item.id in page for item in items.values()) == 8


def test_the_home_page_says_how_to_search_ones_own_photographs_only_while_the_demo_gallery_is_indexed(
    client: Browser, pictures: Path
) -> None:
    commands = ("GALLERY=/path/to/pictures make run", "flask gallery download imagenette-160 photos/")
    assert not any(command in client.get("/").text for command in commands)
    (pictures / DEMO_MARKER).write_text("{}")
    page = client.get("/").text
    assert "It holds pictograms" in page
    assert all(command in page for command in commands)


def test_a_name_with_a_line_break_is_no_server_error(client: Browser, settings: Settings) -> None:
    name = 'two\nlines "\r\u4e2d.tiff'
    write_picture(settings.data_dir / "pictures" / name, 902)
    tiny_index(settings, 1)
    with Catalog.open(settings.index_dir) as catalog:
        [item] = [item for item in catalog.page(0, 100) if item.name == name]
    shutil.rmtree(settings.thumbnails_dir)
    answer = client.get(f"/gallery/{item.id}/image")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    for page in ("/gallery", f"/gallery/{item.id}"):
        assert client.get(page).status_code == 200
