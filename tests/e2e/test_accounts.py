"""Signing up, passwords, tokens and deletion of accounts, in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit
from tests.support.visitor import Visitor
from tests.support.web import PASSWORD

RULES = ("length", "digits", "similar", "common")


def expect_rules_met(page: Page, **exceptions: str) -> None:
    for rule in RULES:
        expect(page.locator(f".rule[data-rule={rule}]")).to_have_attribute(
            "data-met", exceptions.get(rule, "true")
        )


def test_the_password_rules_are_ticked_while_typing_and_enforced_when_submitted(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/signup")
    page.get_by_label("Name").fill("wolkenreiter")
    password = page.get_by_label("Password", exact=True)
    expect(page.locator(".rule[data-met]")).to_have_count(0)
    password.press_sequentially("1234567")
    expect_rules_met(page, length="false", digits="false", common="false")
    password.press_sequentially("8")
    expect_rules_met(page, digits="false", common="false")
    password.fill("wolkenreiter8")
    expect_rules_met(page, similar="false")
    visitor.expects("status of 422")
    page.get_by_role("button", name="Sign up").click()
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".field-error")).to_be_visible()
    expect(page.get_by_role("link", name="Log in").first).to_be_visible()
    password.fill(PASSWORD)
    expect_rules_met(page)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("link", name="wolkenreiter")).to_be_visible()


def test_a_password_can_be_shown(visitor: Visitor) -> None:
    visitor.open("/login")
    password = visitor.page.get_by_label("Password", exact=True)
    password.fill("secret")
    expect(password).to_have_attribute("type", "password")
    visitor.page.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")


def test_after_logging_out_no_page_of_the_account_can_be_opened(visitor: Visitor, picture: Path) -> None:
    visitor.signup("lena")
    path = visitor.search(picture)
    visitor.open(path)
    visitor.logout()
    visitor.expects("status of 404")
    visitor.page.go_back()
    visitor.page.go_back()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Not found")
    assert visitor.page.url.endswith(path)
    assert visitor.statuses(path, f"{path}/picture", f"{path}/status") == [404, 404, 404]
    visitor.open("/history")
    expect(visitor.page.locator(".past")).to_have_count(0)
    visitor.open("/account")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_history_follows_the_account_to_another_browser(visit: Visit, picture: Path) -> None:
    here, there = visit(), visit()
    path = here.search(picture)
    here.signup("oskar")
    there.open(f"/login?next={path}")
    there.expects("status of 422")
    there.page.get_by_label("Name").fill("oskar")
    there.page.get_by_label("Password", exact=True).fill("not-the-password")
    there.page.get_by_role("button", name="Log in").click()
    expect(there.page.get_by_text("Incorrect name or password.")).to_be_visible()
    there.page.get_by_label("Password", exact=True).fill(PASSWORD)
    there.page.get_by_role("button", name="Log in").click()
    there.wait_for_results()
    here.open(path)
    assert there.results() == here.results()


def test_an_api_token_is_created_shown_once_and_revoked(visitor: Visitor) -> None:
    page = visitor.page
    visitor.signup("ruth")
    visitor.open("/account")
    tokens = page.locator("#tokens")
    tokens.get_by_label("Token name").fill("catalogue")
    tokens.get_by_role("button", name="Create a token").click()
    expect(tokens.get_by_text("Copy it now: it will not be shown again.")).to_be_visible()
    visitor.open("/account")
    expect(tokens.get_by_text("Copy it now")).to_have_count(0)
    row = tokens.locator(".rows > li").filter(has_text="catalogue")
    row.locator("summary").click()
    row.locator(".confirm-panel button").click()
    expect(page.get_by_text("catalogue", exact=True)).to_have_count(0)


def test_deleting_an_account_deletes_its_searches(visitor: Visitor, picture: Path) -> None:
    visitor.signup("ines")
    path = visitor.search(picture)
    visitor.open("/account")
    visitor.page.locator("section", has_text="Delete account").get_by_label("Password", exact=True).fill(
        PASSWORD
    )
    visitor.page.get_by_role("button", name="Delete my account and all its data").click()
    expect(visitor.page.get_by_text("Your account has been deleted")).to_be_visible()
    assert visitor.statuses(path) == [404]
