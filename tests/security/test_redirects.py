"""Where `next` may redirect to (row 43)."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from app.paths import safe_next
from tests.support.web import PASSWORD, Browser


@pytest.mark.parametrize("target", ["/", "/history?page=2", "/gallery/ab#x", "/画廊", "/a//b", "/a:b"])
def test_row_43_paths_of_this_site_are_followed(target: str) -> None:
    assert safe_next(target, "/home") == target


FOREIGN = [
    None,
    "",
    "//evil.com",
    "////evil.com",
    "/\\evil.com",
    "\\/evil.com",
    "\\\\evil.com",
    "/a\\evil.com",
    "https://evil.com",
    "https:/evil.com",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\t/evil.com",
    "/\n/evil.com",
    "\t//evil.com",
    " //evil.com",
    "/ /evil.com",
    "/\x00/evil.com",
    "/\x85/evil.com",
    "evil.com",
    "?x",
    "#x",
    "/" + "a" * 3000,
    "/%0d%0aSet-Cookie:x\r\nX: y",
]


@pytest.mark.parametrize("target", FOREIGN)
def test_row_43_everything_else_is_ignored(target: str | None) -> None:
    assert safe_next(target, "/home") == "/home"


@pytest.mark.parametrize("target", [target for target in FOREIGN if target])
def test_row_43_logging_in_redirects_only_within_this_site(maria: Browser, target: str) -> None:
    maria.post("/logout")
    sent = {"username": "maria", "password": PASSWORD}
    asked = "/login?" + urlencode({"next": target})
    assert maria.post(asked, sent).headers["Location"] == "/"
