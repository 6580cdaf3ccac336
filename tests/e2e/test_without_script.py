"""Everything also works without JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit
from tests.support.installation import Installation
from tests.support.visitor import Visitor


@pytest.fixture
def plain(visit: Visit) -> Visitor:
    """A visitor whose browser does not run scripts."""
    return visit(java_script_enabled=False)


def test_the_page_of_a_search_reloads_until_the_results_are_there(
    site: Installation, plain: Visitor, picture: Path
) -> None:
    page = plain.page
    plain.open()
    plain.choose(picture)
    with site.without_worker():
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("noscript p")).to_have_text("This page reloads every two seconds.")
        expect(page.get_by_text("number 1 in the queue")).to_be_visible()
    plain.wait_for_results()
    assert plain.results()[0].name == picture.name
    assert len(plain.results()) == 10


def test_samples_deletion_and_preferences_are_plain_forms(plain: Visitor) -> None:
    page = plain.page
    plain.open()
    page.locator(".strip button").first.click()
    plain.wait_for_results()
    page.locator(".result a").nth(1).click()
    expect(page.get_by_role("button", name="Find similar pictures")).to_be_visible()
    plain.open("/history")
    page.locator(".past .confirm summary").click()
    page.locator(".past .confirm-panel button").click()
    expect(page.get_by_text("No searches yet.")).to_be_visible()
    page.locator("[data-menu] summary").click()
    page.locator("[name=theme][value=dark]").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
