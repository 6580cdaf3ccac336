"""A real browser for tests: actions on the pages, and a check of the browser's console."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Locator, Page, expect

from tests.support.web import PASSWORD

INSTALL = "Chromium is missing: apt-get install chromium"
ARGUMENTS = [
    "--no-sandbox",  # Chromium refuses to run as root otherwise, as it does in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000  # milliseconds
expect.set_options(timeout=PATIENCE)


class Hit(NamedTuple):
    """A result as shown on the page."""

    rank: int
    score: float
    name: str


def chromium() -> str | None:
    """Return the path of Chromium, or None if it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Visitor:
    """A browser profile with its own cookies.

    Errors and warnings in its console, including violations of the content policy, are kept in `complaints`
    and fail the test, unless the test has announced them with `expects`.
    """

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(
            **{"base_url": address, "locale": "en-GB", "timezone_id": "UTC", **options}
        )
        self.context.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self._expected: list[str] = []
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page: Page = self.context.new_page()

    def expects(self, complaint: str) -> None:
        """Allow a message in the console."""
        self._expected.append(complaint)

    def unexpected(self) -> list[str]:
        """Return the errors and warnings that were not expected."""
        return [said for said in self.complaints if not any(part in said for part in self._expected)]

    def open(self, path: str = "/") -> int:
        """Open a page and return the status of the response."""
        response = self.page.goto(path)
        assert response is not None
        return response.status

    def statuses(self, *paths: str) -> list[int]:
        """Return the status of each path for this browser."""
        return [self.context.request.get(path).status for path in paths]

    def another_tab(self) -> Visitor:
        """Open another tab of the same browser."""
        tab = copy.copy(self)
        tab.page = self.context.new_page()
        return tab

    def choose(self, file: Path | FilePayload) -> None:
        """Choose a picture on the home page."""
        self.page.set_input_files("#image", file)

    def submit(self, file: Path | FilePayload) -> str:
        """Upload a picture and return the path of its search."""
        self.open()
        self.choose(file)
        self.page.click("[data-submit]")
        return self.search_path()

    def search(self, file: Path | FilePayload) -> str:
        """Upload a picture, wait for the results and return the path of the search."""
        path = self.submit(file)
        self.wait_for_results()
        return path

    def search_path(self) -> str:
        """Wait for the page of a search and return its path."""
        self.page.wait_for_url(re.compile(r"/searches/[0-9a-f-]{36}$"))
        return self.page.evaluate("location.pathname")

    def wait_for_results(self) -> None:
        """Wait until the search is done."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text("The most similar pictures")

    def results(self) -> list[Hit]:
        """Return the results that the page shows."""
        found = self.page.locator(".results .result").all()
        return [
            Hit(int(_last(one, ".result-rank")), float(_last(one, ".result-score")), _name(one))
            for one in found
        ]

    def signup(self, name: str, password: str = PASSWORD) -> None:
        """Create an account and log in."""
        self.open("/signup")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign up").click()
        expect(self.page.get_by_role("link", name=name)).to_be_visible()

    def logout(self) -> None:
        """Log out."""
        self.open("/account")
        self.page.get_by_role("button", name="Log out", exact=True).click()
        expect(self.page.get_by_role("link", name="Log in")).to_be_visible()

    def drop(self, *files: Path) -> None:
        """Drop files on the page, with the drag and drop events of the browser."""
        devtools = self.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
        devtools.detach()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {json.dumps(message.location)}")


def _last(within: Locator, selector: str) -> str:
    """Return the number at the end, after the word for screen readers."""
    return within.locator(selector).inner_text().split()[-1]


def _name(within: Locator) -> str:
    return within.locator(".caption-name").inner_text()
