"""Pages and searches while Redis, the server or the network is unavailable."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.support.installation import Installation
from tests.support.visitor import Visitor

UNAVAILABLE = "Searching is temporarily unavailable."


def test_without_redis_pages_work_and_a_search_waits_until_it_is_back(
    site: Installation, visitor: Visitor, picture: Path
) -> None:
    page = visitor.page
    visitor.search(picture)
    site.redis.kill()
    try:
        assert visitor.open() == 200
        expect(page.get_by_text(UNAVAILABLE)).to_be_visible()
        assert visitor.open("/history") == 200
        expect(page.locator(".past")).to_have_count(1)
        visitor.submit(picture)
        expect(page.get_by_text(f"{UNAVAILABLE} Searches are saved")).to_be_visible()
        expect(page.locator(".stage[data-stage=waiting]")).to_have_attribute("data-state", "current")
    finally:
        site.redis.restart()
    visitor.wait_for_results()
    assert len(visitor.results()) == 10


def test_a_page_that_loses_the_server_says_so_and_can_try_again(visitor: Visitor, picture: Path) -> None:
    page = visitor.page
    visitor.expects("net::ERR_FAILED")
    page.route("**/status", lambda route: route.abort())
    visitor.submit(picture)
    lost = page.locator("[data-lost]")
    expect(lost).to_contain_text("No connection to the server. Trying again in")
    page.unroute("**/status")
    page.get_by_role("button", name="Try now").click()
    visitor.wait_for_results()


def test_a_picture_that_could_not_be_uploaded_can_be_uploaded_again(visitor: Visitor, picture: Path) -> None:
    visitor.open()
    visitor.choose(picture)
    visitor.expects("net::ERR_INTERNET_DISCONNECTED")
    visitor.context.set_offline(True)
    visitor.page.click("[data-submit]")
    expect(visitor.page.get_by_role("alert")).to_contain_text(
        "The picture could not be uploaded because there is no connection."
    )
    visitor.context.set_offline(False)
    visitor.page.click("[data-submit]")
    visitor.wait_for_results()
