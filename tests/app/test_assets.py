from __future__ import annotations

import re
from pathlib import Path

from app import assets
from tests.support.web import Browser

LINK = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def test_the_files_of_a_page_are_cached_without_revalidation(client: Browser) -> None:
    links = LINK.findall(client.get("/").text)
    assert len(links) > 10
    for link in links:
        answer = client.get(link)
        assert answer.status_code == 200
        assert answer.cache_control.public
        assert answer.cache_control.immutable
        assert answer.cache_control.max_age == assets.ONE_YEAR


def test_modules_that_scripts_import_have_the_same_version(client: Browser) -> None:
    [main] = [link for link in LINK.findall(client.get("/").text) if link.endswith("main.js")]
    modules = re.findall(r'from "\./(.+?)"', client.get(main).text)
    assert modules
    for module in modules:
        assert client.get(main.replace("main.js", module)).cache_control.immutable


def test_a_file_of_another_version_is_served_and_revalidated(client: Browser) -> None:
    answer = client.get("/static/0123456789abcdef/css/base.css")
    assert answer.status_code == 200
    assert answer.cache_control.no_cache
    assert not answer.cache_control.immutable
    known = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(answer.request.path, headers=known).status_code == 304


def test_files_outside_the_folder_are_not_served(client: Browser) -> None:
    for path in ("../assets.py", "%2e%2e/assets.py", "..%2fassets.py", "nothing.css", "css"):
        assert client.get(f"/static/0/{path}").status_code == 404


def test_the_version_changes_with_any_name_or_content(tmp_path: Path) -> None:
    (tmp_path / "css").mkdir()
    sheet = tmp_path / "css" / "a.css"
    sheet.write_text("a {}")
    versions = {assets.version(tmp_path)}
    sheet.write_text("b {}")
    versions.add(assets.version(tmp_path))
    sheet.rename(sheet.with_name("b.css"))
    versions.add(assets.version(tmp_path))
    assert len(versions) == 3
    assert assets.version(tmp_path) in versions
