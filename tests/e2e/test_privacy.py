"""Searches are visible only to their owner."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Visit


def test_others_cannot_see_a_search_or_its_picture(visit: Visit, picture: Path) -> None:
    owner, anonymous, other = visit(), visit(), visit()
    owner.signup("emma")
    path = owner.search(picture)
    paths = [path, f"{path}/picture", f"{path}/status"]
    assert owner.statuses(*paths) == [200, 200, 200]
    other.signup("paula")
    for stranger in (anonymous, other):
        assert stranger.statuses(*paths) == [404, 404, 404]
        stranger.expects("status of 404")
        stranger.open(path)
        expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Not found")
        expect(stranger.page.locator("body")).not_to_contain_text(picture.name)
        stranger.open("/history")
        expect(stranger.page.locator(f'a[href="{path}"]')).to_have_count(0)


def test_an_anonymous_search_is_visible_only_in_its_browser(visit: Visit, picture: Path) -> None:
    owner, stranger = visit(), visit()
    path = owner.search(picture)
    owner.open("/history")
    expect(owner.page.get_by_text("These searches belong to this browser only.")).to_be_visible()
    expect(owner.page.locator(".past")).to_have_count(1)
    assert stranger.statuses(path, f"{path}/picture", f"{path}/status") == [404, 404, 404]
    stranger.open("/history")
    expect(stranger.page.locator(".past")).to_have_count(0)
