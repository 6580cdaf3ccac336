"""Language and theme in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit
from tests.support.visitor import Visitor

HEADING = "上传一张图片，找出最相似的十张"


def expect_language(page: Page, tag: str) -> None:
    expect(page.locator("html")).to_have_attribute("lang", tag)


def test_a_chinese_browser_gets_chinese_pages(visit: Visit, picture: Path) -> None:
    visitor = visit(locale="zh-CN")
    page = visitor.page
    visitor.open()
    expect_language(page, "zh-Hans")
    expect(page.get_by_role("heading", level=1)).to_have_text(HEADING)
    visitor.choose(picture)
    page.get_by_role("button", name="查找相似图片").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("最相似的图片")
    expect(page.get_by_role("button", name="查找相似：")).to_have_count(10)
    visitor.open("/history")
    expect(page.get_by_role("heading", level=1)).to_have_text("搜索历史")
    expect(page.get_by_text("10 张相似图片")).to_be_visible()


def test_a_chosen_language_stays_from_page_to_page(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/gallery?q=picture-1")
    expect_language(page, "en")
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("图库")
    expect(page.get_by_role("searchbox")).to_have_value("picture-1")
    page.get_by_role("link", name="搜索", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HEADING)
    page.reload()
    expect_language(page, "zh-Hans")
    page.get_by_role("button", name="English").click()
    expect_language(page, "en")


def test_a_chosen_theme_applies_at_once_and_after_reloading(visit: Visit) -> None:
    visitor = visit(color_scheme="light")
    page = visitor.page
    visitor.open("/about")
    light = background(page)
    page.get_by_label("Appearance").first.click()
    with page.expect_response("**/preferences"):
        page.locator("[name=theme][value=dark]").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("[data-menu] summary")).to_be_focused()
    assert background(page) != light
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert background(page) != light


def test_the_theme_follows_the_system_until_one_is_chosen(visit: Visit) -> None:
    shades = set()
    for scheme in ("light", "dark"):
        visitor = visit(color_scheme=scheme)
        visitor.open("/about")
        expect(visitor.page.locator("html")).to_have_attribute("data-theme", "auto")
        shades.add(background(visitor.page))
    assert len(shades) == 2


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
