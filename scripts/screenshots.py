"""Take the README's screenshots of a running Vitrine.

    python -m scripts.screenshots http://127.0.0.1:8000 PICTURE docs/screenshots

Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE = 30_000  # milliseconds that a search may take


def main() -> None:
    """Search with the picture, and take screenshots in both themes, both languages and on a phone."""
    parser = argparse.ArgumentParser(description="Take the README's screenshots of a running Vitrine.")
    parser.add_argument("address")
    parser.add_argument("picture", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, options in (
            ("light", {"viewport": DESKTOP}),
            ("dark", {"viewport": DESKTOP, "color_scheme": "dark"}),
            ("chinese", {"viewport": DESKTOP, "locale": "zh-CN"}),
            ("phone", {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}),
        ):
            take(browser, options, arguments.address, arguments.picture, arguments.folder / name)
        browser.close()


def take(browser: Browser, options: dict[str, object], address: str, picture: Path, prefix: Path) -> None:
    """Take screenshots of the home page and of the results of a search."""
    context = browser.new_context(**{"locale": "en-GB", **options})  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    photograph(page, prefix, "home")
    page.set_input_files("#image", picture)
    page.click("[data-submit]")
    page.wait_for_selector(".results", timeout=PATIENCE)
    photograph(page, prefix, "results")
    context.close()


def photograph(page: Page, prefix: Path, name: str) -> None:
    """Wait until all visible pictures have loaded, then save the visible part of the page."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=prefix.with_name(f"{prefix.name}-{name}.png"), animations="disabled")


if __name__ == "__main__":
    main()
