"""Malicious pictures at every entrance: the form, the API, indexing, downloads (rows 30 to 36, 39).

Tests of what happens to an accepted picture use a real worker and a real Redis.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from app.messages import MESSAGES
from app.uploads.storage import OUR_NAME
from config import Settings
from gallery.catalog import Catalog
from model.pictures import FORMATS
from tests.support import pictures
from tests.support.doors import DOORS, Doors, Visitor
from tests.support.galleries import tiny_index
from tests.support.installation import Installation
from tests.support.tiffs import RGB, tiff
from tests.support.web import JSON, Browser

SCENE = pictures.scene()
SECRETS = (b"SecretCamera", b"SecretDate", b"SecretName", b"SecretXmp", b"SecretProfile", b"SecretComment")

BOMBS: dict[str, Callable[[], bytes]] = {
    "png": lambda: pictures.png_bomb(6400, 6400),
    "gif": lambda: pictures.gif(65_535, 65_535),
    "tiff": lambda: pictures.tiff_bomb(30_000, 30_000),
    "bmp": lambda: pictures.bmp_bomb(30_000, 30_000),
    "webp": lambda: pictures.webp_bomb(16_383, 16_383),
}
METADATA_BOMBS: dict[str, Callable[[], bytes]] = {
    "text": pictures.png_text_bomb,
    "texts": pictures.png_many_texts,
    "profile": pictures.png_profile_bomb,
}


@pytest.fixture
def environ() -> dict[str, str]:
    return {"MAX_UPLOAD_MB": "32"}


@functools.cache
def made(kind: str) -> dict[str, bytes]:
    """Return the files of a table, each made once."""
    return {name: make() for name, make in {"bombs": BOMBS, "metadata": METADATA_BOMBS}[kind].items()}


# row 30
@pytest.mark.parametrize("door", DOORS)
def test_row_30_a_decompression_bomb_is_refused_from_its_header(doors: Doors, door: str) -> None:
    files = made("bombs")
    assert max(map(len, files.values())) < 200_000
    assert doors.refusals(door, files) == dict.fromkeys(files, "too_many_pixels")
    assert doors.kept() == 0


@pytest.mark.parametrize("door", DOORS)
def test_a_kind_of_tiff_that_cannot_be_decoded_right_is_called_unsupported(doors: Doors, door: str) -> None:
    light = np.zeros((8, 8, 3), np.float32)
    assert doors.refusals(door, {"light": tiff(light, RGB)}) == {"light": "unsupported_kind"}


# row 31
@pytest.mark.parametrize("door", DOORS)
def test_row_31_only_the_first_of_a_million_frames_is_read(doors: Doors, door: str) -> None:
    assert doors.refusals(door, {"film": pictures.gif(5, 4, frames=1_000_000)}) == {"film": ""}


def test_row_31_a_worker_searches_with_the_first_of_80_000_frames(visitor: Visitor) -> None:
    search = visitor.searched(pictures.gif(5, 4, frames=80_000))
    assert visitor.preview(search).size == (5, 4)


# row 32
@pytest.mark.parametrize("door", DOORS)
def test_row_32_a_text_or_profile_bomb_is_refused(doors: Doors, door: str) -> None:
    files = made("metadata")
    assert doors.refusals(door, files) == dict.fromkeys(files, "broken")
    assert doors.kept() == 0


# row 33
@pytest.mark.parametrize("door", DOORS)
def test_row_33_only_the_eight_formats_are_accepted_whatever_the_file_name(doors: Doors, door: str) -> None:
    files = pictures.foreign_files()
    assert doors.refusals(door, files) == dict.fromkeys(files, "unsupported_format")
    assert doors.kept() == 0
    allowed = {kind: pictures.encoded(SCENE, kind) for kind in FORMATS}
    if door == "page":
        assert doors.refusals(door, allowed) == dict.fromkeys(allowed, "")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (pictures.gif(65_535, 65_535), "too_many_pixels"),
        (b"%!PS-Adobe", "unsupported_format"),
        (pictures.encoded(SCENE, "PNG")[:30], "broken"),
        (b"", "empty"),
        (pictures.encoded(SCENE, "PNG") + bytes(32 << 20), "too_large"),
    ],
)
def test_row_30_to_row_37_a_refusal_is_explained_in_both_languages(
    client: Browser, content: bytes, code: str
) -> None:
    english = client.search(content=content).json["error"]
    token = client.token()
    chinese = client.send(
        "/searches",
        {"csrf_token": token, "image": (io.BytesIO(content), "p.png")},
        headers=JSON | {"Accept-Language": "zh-CN"},
    ).json["error"]
    assert english == {"code": code, "message": str(MESSAGES[code])}
    assert chinese["code"] == code
    assert re.search(r"[\u4e00-\u9fff]", chinese["message"])


# row 34
def inert(headers: Mapping[str, str]) -> bool:
    """Return whether a browser keeps the media type of a response and runs nothing in it."""
    policy = {part.strip() for part in headers["Content-Security-Policy"].split(";")}
    lenient = [part for part in policy if part.startswith(("script-", "object-", "frame-", "allow-"))]
    strict = {"default-src 'none'", "sandbox"} <= policy and not lenient
    return strict and headers["X-Content-Type-Options"] == "nosniff"


def test_row_34_only_the_pixels_of_a_polyglot_are_stored_and_served(
    visitor: Visitor, site: Installation
) -> None:
    polyglot = pictures.polyglot()
    search = visitor.searched(polyglot, "page.html")
    answer = visitor.get(search["picture_url"])
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert inert(answer.headers)
    assert b"script" not in answer.content
    stored = list(site.settings.uploads_dir.iterdir())
    assert stored
    assert all(b"<script" not in file.read_bytes() for file in stored)


def test_row_34_the_original_of_a_waiting_search_is_not_served(client: Browser) -> None:
    search_id = client.searched(content=pictures.polyglot())
    assert client.get(f"/searches/{search_id}/picture").status_code == 404


def test_row_34_a_polyglot_in_the_gallery_is_served_only_as_a_picture(
    client: Browser, settings: Settings
) -> None:
    folder = settings.data_dir / "pictures"
    folder.mkdir(parents=True)
    (folder / "page.html.gif").write_bytes(pictures.polyglot())
    tiny_index(settings, 1)
    with Catalog.open(settings.index_dir) as catalog:
        (item,) = [item for item in catalog.page(0, 9) if item.format == "GIF"]
    for address, media_type in (("image", "image/gif"), ("thumb", "image/jpeg")):
        answer = client.get(f"/gallery/{item.id}/{address}")
        assert answer.headers["Content-Type"] == media_type
        assert inert(answer.headers)
    assert b"script" not in answer.data


# row 36
NAMES = {
    "../../../../etc/passwd": "passwd",
    "..": "..",
    "C:\\\\Windows\\\\win.ini": "win.ini",
    "a\0b.jpg": "ab.jpg",
    "x" * 4096 + ".jpg": "x" * 255,
    "фото.jpg": "фото.jpg",
    "\u202egpj.exe": "gpj.exe",
    "a\x1b[2Jb.jpg": "a[2Jb.jpg",
    "<img src=x onerror=alert(1)>.jpg": "&lt;img src=x onerror=alert(1)&gt;.jpg",
    "{{ 7 * 7 }}.jpg": "{{ 7 * 7 }}.jpg",
    "'; DROP TABLE uploads; --": "&#39;; DROP TABLE uploads; --",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_row_36_a_file_name_is_shown_escaped_and_never_used_as_a_path(
    client: Browser, settings: Settings, tmp_path: Path, name: str
) -> None:
    token = client.token()
    before = {path for path in tmp_path.rglob("*") if settings.uploads_dir not in path.parents}
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % part
        for part in (
            (b"csrf_token", token.encode()),
            (b'image"; filename="' + name.encode(), pictures.encoded(SCENE, "PNG")),
        )
    )
    answer = client.client.post(
        "/searches", data=body + b"--x--\r\n", content_type="multipart/form-data; boundary=x", headers=JSON
    )
    assert answer.status_code == 201, answer.text
    for page in (answer.json["url"], "/history"):
        shown = client.get(page).text
        assert NAMES[name] in shown
        assert "<img src=x" not in shown
    assert [OUR_NAME.fullmatch(path.name) is not None for path in settings.uploads_dir.iterdir()] == [True]
    after = {path for path in tmp_path.rglob("*") if settings.uploads_dir not in path.parents}
    assert {path.name for path in after - before} <= {"uploads", "test.db-shm", "test.db-wal"}


# row 39
def with_secrets(kind: str) -> bytes:
    """Return a picture with metadata about place, time, author and camera."""
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 29: "SecretDate"})
    options: dict[str, object] = {"exif": exif.tobytes(), "icc_profile": b"SecretProfile" * 20}
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Author", "SecretName")
        options["pnginfo"] = texts
    else:
        options["xmp"] = b"<SecretXmp/>"
    if kind == "JPEG":
        options["comment"] = b"SecretComment"
    return pictures.encoded(SCENE, kind, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_row_39_no_metadata_of_an_upload_is_kept(visitor: Visitor, site: Installation, kind: str) -> None:
    data = with_secrets(kind)
    assert any(secret in data for secret in SECRETS)
    search = visitor.searched(data)
    shown = Image.open(io.BytesIO(visitor.get(search["picture_url"]).content))
    assert not shown.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(shown.info)
    files = [path for path in site.directory.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 30
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in SECRETS), path


def test_row_39_thumbnails_of_the_gallery_contain_no_metadata(doors: Doors) -> None:
    doors.refusals("index", {kind: with_secrets(kind) for kind in ("JPEG", "PNG", "TIFF")})
    thumbnails = [path.read_bytes() for path in doors.settings.thumbnails_dir.rglob("*.jpg")]
    assert len(thumbnails) == 5  # TIFF, which browsers do not show, has a large one too
    assert not any(
        secret in content for content in thumbnails for secret in (*SECRETS, b"Exif", b"ICC_PROFILE")
    )
