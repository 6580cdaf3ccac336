"""Which files of a folder are candidates for the index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gallery.errors import StoreError
from gallery.scanning import scan
from tests.support.privileges import without_privileges


def test_a_folder_is_walked_without_hidden_names_links_out_and_loops(tmp_path: Path) -> None:
    root = tmp_path / "root"
    pictures = ["a/c", "a/deep/er/e.webp", "b.JPG", "Übung/雪 花.png"]
    for name in (*pictures, ".hidden.jpg", ".git/d.jpg", "list.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"1234")
    (tmp_path / "outside.jpg").touch()
    (root / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "in.jpg").symlink_to(root / "b.JPG")
    (root / "loop").symlink_to(root)
    (root / "dangling.jpg").symlink_to(root / "nothing")
    (root / "itself.jpg").symlink_to(root / "itself.jpg")
    os.mkfifo(root / "pipe.jpg")
    found, skipped = scan(root)
    assert [file.path for file in found] == sorted([*pictures, "in.jpg"])
    assert found[0].size == 4
    assert found[0].mtime == (root / "a/c").stat().st_mtime_ns
    assert dict(skipped) == {
        "dangling.jpg": "cannot be read: No such file or directory",
        "itself.jpg": "cannot be read: Too many levels of symbolic links",
        "list.csv": "not a picture (.csv)",
        "loop": "a link to a folder",
        "out.jpg": "a link out of the folder",
        "pipe.jpg": "not a regular file",
    }


def test_a_name_that_is_not_text_is_reported_in_a_form_that_can_be_shown(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).touch()
    assert scan(tmp_path) == ([], [("caf\\xe9.jpg", "its name is not UTF-8")])


def test_a_folder_that_may_not_be_read_is_reported(public_folder: Path) -> None:
    (public_folder / "closed").mkdir(mode=0)
    with without_privileges():
        assert scan(public_folder) == ([], [("closed", "cannot be read: Permission denied")])


def test_a_root_that_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(StoreError, match="is not a folder"):
            scan(root)
