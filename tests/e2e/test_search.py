"""Searching in a real browser, from choosing a picture to the results."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.support.gate import Gate
from tests.support.installation import Installation
from tests.support.visitor import Hit, Visitor


def stage(page: Page, name: str) -> Locator:
    return page.locator(f".stage[data-stage={name}]")


def assert_ten_best_first(hits: list[Hit]) -> None:
    assert [hit.rank for hit in hits] == list(range(1, 11))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)


def test_a_picture_dropped_on_the_page_finds_the_ten_most_similar(visitor: Visitor, picture: Path) -> None:
    visitor.open()
    visitor.drop(picture)
    expect(visitor.page.get_by_alt_text("The picture you chose")).to_be_visible()
    expect(visitor.page.get_by_text(picture.name, exact=True)).to_be_visible()
    visitor.page.get_by_role("button", name="Find similar pictures").click()
    visitor.wait_for_results()
    hits = visitor.results()
    assert_ten_best_first(hits)
    assert hits[0].name == picture.name
    assert hits[0].score > 0.999
    expect(visitor.page.get_by_text("Searched 60 pictures in")).to_be_visible()
    assert visitor.page.title().startswith(f"Pictures similar to {picture.name}")


def test_of_several_dropped_files_one_is_used_and_the_page_says_so(
    visitor: Visitor, picture: Path, other_picture: Path
) -> None:
    page = visitor.page
    visitor.open()
    visitor.drop(picture, other_picture, Path(__file__))
    note = page.locator("[data-preview] [data-ignored]")
    expect(note).to_have_text(f"Only {picture.name} will be searched with. Other files ignored: 2.")
    visitor.drop(other_picture)
    expect(note).to_be_hidden()


def test_a_pasted_picture_is_accepted(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.evaluate(
        """async () => {
          const data = new DataTransfer();
          const icon = await fetch(document.querySelector("link[rel=apple-touch-icon]").href);
          data.items.add(new File([await icon.blob()], "pasted.png", { type: "image/png" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(visitor.page.get_by_text("pasted.png", exact=True)).to_be_visible()
    visitor.page.get_by_role("button", name="Find similar pictures").click()
    visitor.wait_for_results()
    assert_ten_best_first(visitor.results())


def test_every_tab_shows_the_stages_of_a_search(
    site: Installation, visitor: Visitor, gate: Gate, picture: Path, other_picture: Path
) -> None:
    page = visitor.page
    with site.without_worker():
        path = visitor.submit(picture)
        expect(stage(page, "uploaded")).to_have_attribute("data-state", "past")
        expect(stage(page, "waiting")).to_have_attribute("data-state", "current")
        expect(stage(page, "encoding")).to_have_attribute("data-state", "future")
        expect(page.get_by_text("number 1 in the queue")).to_be_visible()
        tab, behind = visitor.another_tab(), visitor.another_tab()
        tab.open(path)
        behind.submit(other_picture)
        expect(behind.page.get_by_text("number 2 in the queue")).to_be_visible()
        with site.worker("-m", "tests.support.gated_worker", **gate.environ):
            for shown in (page, tab.page):
                expect(stage(shown, "encoding")).to_have_attribute("data-state", "current")
                expect(stage(shown, "encoding")).to_have_attribute("aria-current", "step")
            expect(behind.page.get_by_text("number 2 in the queue")).to_be_visible()
            gate.open()
            for each in (visitor, tab, behind):
                each.wait_for_results()
    assert tab.results() == visitor.results() != behind.results()
    expect(page.locator("#outcome")).to_be_focused()


def test_a_double_click_makes_one_search(visitor: Visitor, picture: Path) -> None:
    visitor.open()
    visitor.choose(picture)
    visitor.page.dblclick("[data-submit]")
    visitor.wait_for_results()
    visitor.open("/history")
    expect(visitor.page.locator(".past")).to_have_count(1)


def test_samples_and_results_can_be_searched_with(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.locator(".strip button").nth(2).click()
    visitor.wait_for_results()
    hits = visitor.results()
    assert_ten_best_first(hits)
    second = hits[1].name
    assert visitor.page.locator(".query-name").inner_text() not in {hit.name for hit in hits}
    visitor.page.get_by_role("button", name=f"Find similar: {second}").click()
    expect(visitor.page.locator(".query-name")).to_have_text(second)
    visitor.wait_for_results()
    assert_ten_best_first(visitor.results())


def test_a_chosen_picture_can_be_removed(visitor: Visitor, picture: Path) -> None:
    visitor.open()
    visitor.choose(picture)
    visitor.page.get_by_role("button", name="Remove").click()
    expect(visitor.page.get_by_role("button", name="Choose a picture")).to_be_focused()
    expect(visitor.page.locator("[data-submit]")).to_be_hidden()


def test_an_upload_can_be_cancelled_and_repeated(visitor: Visitor, picture: Path) -> None:
    page = visitor.page
    visitor.open()
    visitor.choose(picture)
    page.route("**/searches", lambda route: None)  # the network is very slow
    page.click("[data-submit]")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("[data-submit]")).to_be_focused()
    page.unroute("**/searches")
    page.click("[data-submit]")
    visitor.wait_for_results()
