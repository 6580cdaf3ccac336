"""Everything can be done with the keyboard, and the focus is always visible."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.visitor import Visitor

RING = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus; every focused element must show it."""
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate(RING), page.evaluate("document.activeElement.outerHTML")
        focused = page.locator(":focus")
        if name in (focused.get_attribute("aria-label"), focused.inner_text().strip()):
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def test_the_first_link_skips_the_header(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(page, "How to get DINOv2")


def test_a_search_from_beginning_to_end_needs_no_mouse(visitor: Visitor, picture: Path) -> None:
    page = visitor.page
    page.on(
        "filechooser", lambda chooser: None
    )  # registered early, since waiting for it only below may be too late
    visitor.open()
    tab_to(page, "Choose a picture")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(picture)
    expect(page.locator("[data-submit]")).to_be_focused()
    page.keyboard.press("Enter")
    visitor.wait_for_results()
    expect(page.locator("#outcome")).to_be_focused()
    tab_to(page, "What the scores mean")
    page.keyboard.press("Tab")
    expect(page.locator("a[data-enlarge]").first).to_be_focused()


def test_pictures_are_enlarged_and_browsed_by_keyboard(visitor: Visitor, picture: Path) -> None:
    page = visitor.page
    visitor.search(picture)
    second = visitor.results()[1]
    page.locator("a[data-enlarge]").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Enlarged picture")
    expect(dialog.locator("[data-count]")).to_have_text("1 / 10")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    expect(dialog.get_by_role("button", name="Previous")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("[data-count]")).to_have_text("2 / 10")
    expect(dialog.get_by_role("img", name=second.name)).to_be_visible()
    expect(dialog.locator("[data-score]")).to_have_text(f"{second.score:.3f}")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(dialog.locator("[data-count]")).to_have_text("10 / 10")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("a[data-enlarge]").last).to_be_focused()


def test_find_similar_works_from_the_enlarged_picture(visitor: Visitor, picture: Path) -> None:
    visitor.search(picture)
    third = visitor.results()[2].name
    visitor.page.locator("a[data-enlarge]").nth(2).click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Find similar").click()
    expect(visitor.page.locator(".query-name")).to_have_text(third)
    visitor.wait_for_results()


def test_the_menu_closes_on_escape_and_returns_the_focus(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/about")
    tab_to(page, "Appearance")
    page.keyboard.press("Enter")
    expect(page.locator(".menu-panel")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.locator(".menu-panel")).to_be_hidden()
    expect(page.locator("[data-menu] summary")).to_be_focused()
