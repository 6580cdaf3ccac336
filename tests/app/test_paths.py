"""Where `next` may lead."""

from __future__ import annotations

import pytest

from app.paths import safe_next


@pytest.mark.parametrize("target", ["/", "/history?page=2", "/gallery/ab#x", "/画廊", "/a//b", "/a:b"])
def test_own_paths_are_followed(target: str) -> None:
    assert safe_next(target, "/home") == target


@pytest.mark.parametrize(
    "target",
    [
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
    ],
)
def test_everything_else_is_ignored(target: str | None) -> None:
    assert safe_next(target, "/home") == "/home"
