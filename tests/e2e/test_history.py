"""The history in a real browser: opening, repeating and deleting past searches."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.support.visitor import Visitor


def test_a_past_search_opens_with_the_same_results(
    visitor: Visitor, picture: Path, other_picture: Path
) -> None:
    visitor.search(picture)
    found = visitor.results()
    visitor.search(other_picture)
    visitor.open("/history")
    expect(visitor.page.locator(".past .past-text .caption-name")).to_have_text(
        [other_picture.name, picture.name]
    )
    visitor.page.get_by_role("link", name=picture.name).click()
    visitor.search_path()
    assert visitor.results() == found
    visitor.open()
    expect(visitor.page.get_by_role("heading", name="Your recent searches")).to_be_visible()
    expect(visitor.page.locator(".past")).to_have_count(2)


def test_searching_again_is_a_new_search_with_the_same_results(visitor: Visitor, picture: Path) -> None:
    path = visitor.search(picture)
    found = visitor.results()
    visitor.page.get_by_role("button", name="Search again").click()
    visitor.page.wait_for_url(lambda url: "/searches/" in url and not url.endswith(path))
    visitor.wait_for_results()
    assert visitor.results() == found
    visitor.open("/history")
    expect(visitor.page.locator(".past")).to_have_count(2)


def test_one_search_is_deleted_after_confirmation(
    visitor: Visitor, picture: Path, other_picture: Path
) -> None:
    kept, gone = visitor.search(picture), visitor.search(other_picture)
    visitor.open("/history")
    newest = visitor.page.locator(".past").first
    newest.locator(".confirm summary").click()
    expect(newest.get_by_text("Delete this search and its picture?")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(newest.locator(".confirm-panel")).to_be_hidden()
    newest.locator(".confirm summary").click()
    newest.locator(".confirm-panel button").click()
    expect(visitor.page.locator(".past .past-text .caption-name")).to_have_text([picture.name])
    assert visitor.statuses(kept, gone, f"{gone}/picture", f"{gone}/status") == [200, 404, 404, 404]


def test_all_searches_are_deleted_after_confirmation(
    visitor: Visitor, picture: Path, other_picture: Path
) -> None:
    paths = [visitor.search(picture), visitor.search(other_picture)]
    visitor.open("/history")
    everything = visitor.page.locator(".page-head .confirm")
    everything.locator("summary").click()
    everything.get_by_role("button", name="Delete all searches").click()
    expect(visitor.page.get_by_text("No searches yet.")).to_be_visible()
    expect(visitor.page.locator(".past")).to_have_count(0)
    assert visitor.statuses(*paths) == [404, 404]
