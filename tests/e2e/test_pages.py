"""Every page is accessible and fits the screen, at several sizes, themes and languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState

from tests.e2e.conftest import Visit
from tests.support.installation import Installation
from tests.support.visitor import Visitor

AUDIT = Path(__file__).with_name("audit.js").read_text()
DESKTOP, PHONE, SMALL_PHONE = ({"width": width, "height": 800} for width in (1280, 390, 320))
TOUCH = {"is_mobile": True, "has_touch": True}
DEVICES = {
    "desktop, light": {"viewport": DESKTOP, "color_scheme": "light"},
    "desktop, dark, Chinese": {"viewport": DESKTOP, "color_scheme": "dark", "locale": "zh-CN"},
    "phone, dark": {"viewport": PHONE, "color_scheme": "dark", **TOUCH},
    "small phone, light": {"viewport": SMALL_PHONE, "color_scheme": "light", **TOUCH},
}


@pytest.fixture(scope="module")
def resident(browser: Browser, site: Installation, picture: Path) -> tuple[StorageState, str]:
    """The cookies of an account with a search, and the path of the search."""
    visitor = Visitor(browser, site.url)
    visitor.signup("a-name-as-long-as-it-may-be-1234")
    path = visitor.search(picture)
    cookies = visitor.context.storage_state()
    visitor.context.close()
    return cookies, path


def audited(visitor: Visitor, path: str, *clicks: str) -> list[str]:
    """Return what is wrong with a page after clicking on these elements."""
    visitor.open(path)
    for selector in clicks:
        visitor.page.locator(selector).first.click()
    visitor.page.wait_for_function("document.fonts.status === 'loaded'")
    return [f"{path}: {wrong}" for wrong in visitor.page.evaluate(AUDIT)]


@pytest.mark.parametrize("device", DEVICES)
def test_every_page_fits_and_is_accessible(
    visit: Visit, resident: tuple[StorageState, str], device: str
) -> None:
    cookies, path = resident
    options: dict[str, Any] = DEVICES[device]
    guest, account = visit(**options), visit(**options, storage_state=cookies)
    guest.expects("status of 404")
    account.open("/gallery")
    item = account.page.locator(".tile a").first.get_attribute("href") or ""
    wrong = [
        *audited(guest, "/"),
        *audited(guest, "/signup"),
        *audited(guest, "/login"),
        *audited(guest, "/nothing"),
        *audited(guest, "/history"),
        *audited(guest, "/about", "[data-menu] summary"),
        *audited(account, "/"),
        *audited(account, path, ".confirm summary"),
        *audited(account, path, "a[data-enlarge]"),
        *audited(account, "/history", ".past .confirm summary"),
        *audited(account, "/history", ".page-head .confirm summary"),
        *audited(account, "/gallery"),
        *audited(account, item),
        *audited(account, "/account"),
    ]
    assert wrong == []


def test_the_audit_finds_known_faults(visitor: Visitor) -> None:
    visitor.open()
    assert visitor.page.evaluate(AUDIT) == []
    visitor.page.evaluate(
        """() => {
          const main = document.querySelector("main");
          main.insertAdjacentHTML("beforeend", `
            <h4>Deep</h4><p id="main">Twice</p><button></button><img src="data:,"><a href="/">o</a>
            <label for="nowhere">Label</label><button aria-label="Other">Written</button>
            <p class="faint">Faint</p><div class="wide">Wide</div>`);
          document.querySelector(".faint").style.color = "rgb(200 196 188)";
          document.querySelector(".wide").style.width = "3000px";
          document.documentElement.lang = "";
        }"""
    )
    found = "\n".join(visitor.page.evaluate(AUDIT))
    for complaint in (
        *("has no language", "skips a level", "id main is used twice", "refers to nothing", "without a name"),
        *("differs from the text", "without alternative text", "too faint", "px wide on", "too small to hit"),
    ):
        assert complaint in found


def test_static_files_are_downloaded_once(visitor: Visitor) -> None:
    fetched = """() => performance.getEntriesByType("resource")
      .filter((entry) => entry.name.includes("/static/") && entry.transferSize > 0).length"""
    visitor.open("/about")
    assert visitor.page.evaluate(fetched) > 20
    visitor.open("/login")
    assert visitor.page.evaluate(fetched) == 0
