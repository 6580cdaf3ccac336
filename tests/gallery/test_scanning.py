"""Which files of a folder are candidates for the index."""

from __future__ import annotations

import os
import subprocess
import sys
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


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir", "#recycle", "#Snapshot", "@Recycle", "$RECYCLE.BIN", "$Recycle.Bin", ".thumbnails",
        ".Trash-1000", "__MACOSX", "lost+found", "System Volume Information", "Catalog Previews.lrdata",
    ],
)  # fmt: skip
def test_copies_and_deleted_files_of_other_systems_are_ignored(tmp_path: Path, name: str) -> None:
    for path in ("holiday/a.jpg", f"holiday/{name}/a.jpg/thumb.jpg", f"{name}/a.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    candidates, skipped = scan(tmp_path)
    assert [file.path for file in candidates] == ["holiday/a.jpg"]
    assert skipped == []


def test_more_names_can_be_ignored_and_similar_ones_are_not(tmp_path: Path) -> None:
    for path in ("raw/a.jpg", "Raw data/b.jpg", "c.draft.jpg", "recycle/d.jpg", "lost/e.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    candidates, _ = scan(tmp_path, ignore=["RAW", "*.draft.*"])
    assert [file.path for file in candidates] == ["Raw data/b.jpg", "lost/e.jpg", "recycle/d.jpg"]


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


def vitrine_data(root: Path) -> Path:
    """A data folder inside the gallery, with somebody's private query picture."""
    private = root / "var" / "uploads" / "query.jpg"
    private.parent.mkdir(parents=True)
    private.write_bytes(b"1234")
    (root / "a.jpg").write_bytes(b"1234")
    return root / "var"


@pytest.mark.parametrize("given", ["itself", "with dots", "through a link"])
def test_an_excluded_folder_is_never_entered_whatever_its_path(tmp_path: Path, given: str) -> None:
    root = tmp_path / "pictures"
    data = vitrine_data(root)
    if given == "with dots":
        data = root / "var" / ".." / "var"
    if given == "through a link":
        data = tmp_path / "link"
        data.symlink_to(root / "var")
    assert [file.path for file in scan(root, exclude=[data])[0]] == ["a.jpg"]


def test_a_link_to_a_file_in_an_excluded_folder_is_refused(tmp_path: Path) -> None:
    data = vitrine_data(tmp_path)
    (tmp_path / "link.jpg").symlink_to(data / "uploads" / "query.jpg")
    candidates, skipped = scan(tmp_path, exclude=[data])
    assert [file.path for file in candidates] == ["a.jpg"]
    assert skipped == [("link.jpg", "a link into Vitrine's own data")]


def test_an_excluded_folder_cannot_be_the_root_but_a_folder_in_it_can(tmp_path: Path) -> None:
    data = vitrine_data(tmp_path)
    (data / "demo").mkdir()
    (data / "demo" / "cat.png").touch()
    with pytest.raises(StoreError, match="choose another folder"):
        scan(data, exclude=[data])
    assert [file.path for file in scan(data / "demo", exclude=[data])[0]] == ["cat.png"]


BOUND = """
mount --bind "$1/data" "$1/pictures/other name"
exec "$2" -c "
import sys
from pathlib import Path
from gallery.scanning import scan
print([file.path for file in scan(Path(sys.argv[1], 'pictures'), exclude=[Path(sys.argv[1], 'data')])[0]])
" "$1"
"""


def test_a_bind_mount_of_an_excluded_folder_is_not_entered(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount: sysctl -w kernel.unprivileged_userns_clone=1")
    for name in ("data/uploads", "pictures/other name"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("data/uploads/query.jpg", "pictures/a.jpg"):
        (tmp_path / name).touch()
    command = ["unshare", "-rm", "sh", "-ec", BOUND, "sh", tmp_path, sys.executable]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], text=True, capture_output=True, check=True)
    assert done.stdout == "['a.jpg']\n"
