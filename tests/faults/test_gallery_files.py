"""Gallery files that are missing, moved, changed or unreadable (row 27)."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import Settings
from gallery.catalog import Catalog
from gallery.status import status
from tests.support.galleries import make_gallery, tiny_index, write_picture
from tests.support.index import Index
from tests.support.privileges import without_privileges
from tests.support.web import Browser


def test_row_27_missing_renamed_changed_and_linked_out_files_are_listed(index: Index, tmp_path: Path) -> None:
    index.build()
    files = sorted(index.root.rglob("*.*"))
    files[0].unlink()
    files[1].rename(files[1].with_name("renamed.png"))
    write_picture(files[2], seed=50)
    files[3].unlink()
    files[3].symlink_to(tmp_path)
    found = status(index.folder, index.encoder.fingerprint)
    assert dict(found.changed) == {
        "a/000.jpg": "missing",
        "a/003.png": "missing",
        "a/006.jpg": "changed",
        "a/009.png": "a/009.png leads out of the gallery's folder.",
    }
    assert (found.matches, found.damaged, found.manifest.count) == (True, False, 12)


def test_row_27_a_file_that_may_not_be_read_is_listed(index: Index, public_folder: Path) -> None:
    index.root = make_gallery(public_folder / "pictures", 3)
    index.folder = public_folder / "index"
    index.build()
    (index.root / "a" / "000.jpg").chmod(0)
    with without_privileges():
        found = status(index.folder, index.encoder.fingerprint)
    assert found.changed == [("a/000.jpg", "cannot be read: Permission denied")]


@pytest.mark.parametrize("loss", ["deleted", "a directory", "out of the gallery"])
def test_row_27_a_missing_file_is_shown_as_missing_and_everything_else_works(
    client: Browser, settings: Settings, loss: str
) -> None:
    tiny_index(settings, 6)
    with Catalog.open(settings.index_dir) as catalog:
        item, other = catalog.at(0), catalog.at(1)
        path = catalog.file(item)
    path.unlink()
    if loss == "a directory":
        path.mkdir()
    if loss == "out of the gallery":
        secret = settings.data_dir / "secret.txt"
        secret.write_text("secret")
        path.symlink_to(secret)
    assert client.get(f"/gallery/{item.id}/image").status_code == 404
    page = client.get(f"/gallery/{item.id}")
    assert page.status_code == 200
    assert "missing from the gallery folder" in page.text
    for address in ("/gallery", f"/gallery/{item.id}/thumb", f"/gallery/{other.id}/image"):
        assert client.get(address).status_code == 200
    assert client.post(f"/gallery/{item.id}/similar").status_code == 303
