"""What the gallery shows to strangers: pictures of its own folder, and no other file (row 51)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from config import Settings
from gallery import folders
from gallery.about import read_attribution
from gallery.catalog import Catalog, Item, item_id
from gallery.errors import PathRefusedError, StoreError
from gallery.exchange import import_npz
from gallery.originals import open_original
from gallery.store import Store
from gallery.writer import write_generation
from tests.support.galleries import tiny_index, write_picture
from tests.support.web import Browser

SECRET = b"root:x:0:0:secret"


@pytest.fixture
def private(settings: Settings) -> list[Path]:
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    return [settings.data_dir, settings.uploads_dir]


def imported(settings: Settings, tmp_path: Path, paths: list[str], root: Path, private: list[Path]) -> None:
    with Store.open(settings.index_dir) as store:
        fingerprint = store.fingerprint
    source = tmp_path / "foreign.npz"
    np.savez(source, features=np.eye(len(paths), fingerprint.dim, dtype=np.float32), paths=np.array(paths))
    import_npz(
        source, settings.index_dir, root=root, model="tiny", fingerprint=fingerprint,
        thumbnails_dir=settings.thumbnails_dir, private=private,
    )  # fmt: skip


def forged(settings: Settings, root: Path, path: str, sha256: str = "a" * 64) -> Item:
    """Install an index that somebody else has made, with any root, path and hash; return its item."""
    with Store.open(settings.index_dir) as store:
        fingerprint = store.fingerprint
    item = Item(item_id(path), path, sha256, 1, 1, 64, 48, "JPEG")
    block = np.eye(1, fingerprint.dim, dtype=np.float32)
    write_generation(
        settings.index_dir, [item], [block], model="tiny", fingerprint=fingerprint, root=root, attribution="",
        scanned=1,
    )  # fmt: skip
    return item


def test_row_51_files_that_are_not_pictures_are_imported_without_being_served(
    client: Browser, settings: Settings, tmp_path: Path, private: list[Path]
) -> None:
    tiny_index(settings, 1)
    folder = tmp_path / "elsewhere"
    write_picture(folder / "a.jpg", 1)
    (folder / "shadow").write_bytes(SECRET)
    imported(settings, tmp_path, ["a.jpg", "shadow"], folder, private)
    assert client.get(f"/gallery/{item_id('a.jpg')}/image").status_code == 200
    for page in ("image", "thumb"):
        answer = client.get(f"/gallery/{item_id('shadow')}/{page}")
        assert (answer.status_code, SECRET in answer.data) == (404, False)


def test_row_51_the_file_system_and_the_sites_own_data_are_never_a_gallery(
    settings: Settings, tmp_path: Path, private: list[Path]
) -> None:
    tiny_index(settings, 1)
    link = tmp_path / "link"
    link.symlink_to(settings.data_dir)
    inside = settings.uploads_dir / "deeper"
    inside.mkdir()
    for root in (Path("/"), Path("//"), settings.data_dir, link, settings.uploads_dir, inside):
        with pytest.raises(StoreError, match="choose"):
            imported(settings, tmp_path, ["a.jpg"], root, private)


@pytest.mark.parametrize("root", ["/", "data", "uploads"])
def test_row_51_an_index_from_elsewhere_shows_nothing_of_the_site_or_the_machine(
    client: Browser, settings: Settings, tmp_path: Path, root: str
) -> None:
    tiny_index(settings, 1)
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    picture = write_picture(settings.uploads_dir / f"{'0' * 32}.jpg", 3)
    folder = {"/": Path("/"), "data": settings.data_dir, "uploads": settings.uploads_dir}[root]
    item = forged(settings, folder, picture.relative_to(folder).as_posix())
    assert client.get(f"/gallery/{item.id}/image").status_code == 404
    assert "missing from the gallery folder" in client.get(f"/gallery/{item.id}").text


def test_row_51_an_index_from_elsewhere_names_no_path_outside_of_its_folder(
    client: Browser, settings: Settings, tmp_path: Path
) -> None:
    tiny_index(settings, 1)
    write_picture(tmp_path / "private.jpg", 4)
    (tmp_path / "public").mkdir()
    for path, sha256 in (("../private.jpg", "a" * 64), ("x.jpg", "../../../private"), ("x.jpg", "")):
        item = forged(settings, tmp_path / "public", path, sha256)
        for page in ("image", "thumb"):
            assert client.get(f"/gallery/{item.id}/{page}").status_code == 404


def test_row_51_the_sites_own_data_below_a_gallery_is_not_shown_by_any_path(
    settings: Settings, tmp_path: Path, private: list[Path]
) -> None:
    tiny_index(settings, 1)
    picture = write_picture(settings.uploads_dir / f"{'0' * 32}.jpg", 3)
    item = forged(
        settings, settings.data_dir.parent, picture.relative_to(settings.data_dir.parent).as_posix()
    )
    with Catalog.open(settings.index_dir) as catalog, pytest.raises(PathRefusedError, match="own data"):
        open_original(catalog, item, private)


@pytest.mark.parametrize("replacement", ["text", "link", "link to a folder above", "pipe"])
def test_row_51_a_file_that_was_replaced_after_indexing_is_checked_again(
    client: Browser, settings: Settings, tmp_path: Path, replacement: str
) -> None:
    tiny_index(settings, 1)
    with Catalog.open(settings.index_dir) as catalog:
        item = catalog.at(0)
        path = catalog.file(item)
    path.unlink()
    write_picture(tmp_path / "outside" / path.name, 5)
    if replacement == "text":
        path.write_bytes(SECRET)
    elif replacement == "link":
        path.symlink_to(tmp_path / "outside" / path.name)
    elif replacement == "pipe":
        os.mkfifo(path)
    else:
        path.parent.rmdir()
        path.parent.symlink_to(tmp_path / "outside")
    assert client.get(f"/gallery/{item.id}/image").status_code == 404


def test_row_51_a_link_swapped_in_between_check_and_opening_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "root" / "a" / "b.jpg").write_bytes(b"picture")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.jpg").write_bytes(SECRET)
    resolve = os.path.realpath

    def swapped(path: str) -> str:
        found = resolve(path)
        if found.endswith("b.jpg"):
            (tmp_path / "root" / "a").rename(tmp_path / "moved")
            (tmp_path / "root" / "a").symlink_to(tmp_path / "outside")
        return found

    monkeypatch.setattr(folders.os.path, "realpath", swapped)
    with pytest.raises((PathRefusedError, NotADirectoryError)):
        folders.open_below(tmp_path / "root", "a/b.jpg")


def test_row_51_an_attribution_that_links_out_of_the_gallery_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "ATTRIBUTION.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(StoreError, match="leads out"):
        read_attribution(tmp_path / "gallery")
