"""Stored pictures: written completely or not at all, under generated names, and removed with their rows."""

from __future__ import annotations

import io
import os
import time
import uuid
from pathlib import Path

import pytest
from flask import Flask

from app.searches import deletion
from app.uploads import storage
from config import Settings
from tests.support.searches import SOMEONE, row, waiting_search

pytestmark = pytest.mark.usefixtures("context")


def files(settings: Settings) -> set[str]:
    return {file.name for file in settings.uploads_dir.glob("*")}


def age(path: Path) -> None:
    """Make a file older than any upload in progress."""
    then = time.time() - 2 * storage.ORPHAN_AGE
    os.utime(path, (then, then))


def test_a_stream_is_stored_from_its_beginning(settings: Settings) -> None:
    stream = io.BytesIO(b"picture")
    stream.read(3)
    name = storage.save_original(stream)
    assert storage.path_of(name).read_bytes() == b"picture"
    assert files(settings) == {name}


def test_an_interrupted_write_leaves_nothing(settings: Settings) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        storage.save_original(Broken())
    assert files(settings) == set()


@pytest.mark.parametrize(
    "name", ["../vitrine.db", "/etc/passwd", "a.upload", "", "a" * 32 + ".exe", "a" * 32 + ".upload\n"]
)
def test_only_generated_names_are_accepted(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        storage.path_of(name)


def test_previews_of_earlier_versions_have_their_media_type() -> None:
    names = (storage.save_preview(io.BytesIO(b"x")), f"{'a' * 32}.webp")
    assert [storage.preview_type(name) for name in names] == ["image/jpeg", "image/webp"]


def test_old_files_without_a_row_are_removed_and_others_are_kept(settings: Settings) -> None:
    search_id = waiting_search()
    (kept,) = files(settings)
    orphans = [storage.save_original(io.BytesIO(b"x")), storage.save_preview(io.BytesIO(b"x"))]
    part = settings.uploads_dir / f"{uuid.uuid4().hex}.part"
    part.touch()
    stranger = settings.uploads_dir / "README"
    stranger.touch()
    young = storage.save_original(io.BytesIO(b"x"))
    for path in (storage.path_of(kept), *map(storage.path_of, orphans), part, stranger):
        age(path)
    assert storage.remove_orphans() == 3
    assert files(settings) == {kept, young, "README", "set-aside"}
    assert row(search_id).upload is not None


def test_removing_orphans_before_the_first_upload_finds_nothing() -> None:
    assert storage.remove_orphans() == 0


def test_removing_a_missing_file_is_no_error() -> None:
    storage.remove([f"{uuid.uuid4().hex}.upload"])


def test_a_file_that_cannot_be_removed_does_not_prevent_the_deletion(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "forbidden")

    waiting_search()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", forbidden)
        assert deletion.delete_searches(SOMEONE) == 1
    (left,) = files(settings)
    age(storage.path_of(left))
    assert storage.remove_orphans() == 1
