"""Files that cannot be searched with are explained, and the next one is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import FilePayload, expect

from tests.e2e.conftest import MAX_UPLOAD_MB, Visit
from tests.support.pictures import gif
from tests.support.visitor import Visitor


class Wrong(NamedTuple):
    """A file that is refused, and the message that is shown."""

    name: str
    content: bytes
    media_type: str
    message: str
    status: int | None = None  # of the response, if only the server finds out

    def file(self) -> FilePayload:
        return {"name": self.name, "mimeType": self.media_type, "buffer": self.content}


UNSUPPORTED = "This file is not a supported picture."
WRONG = [
    Wrong("a text.jpg", b"just a text\n", "image/jpeg", UNSUPPORTED, 415),
    Wrong("a text.txt", b"just a text\n", "text/plain", UNSUPPORTED),
    Wrong("nothing.png", b"", "image/png", "No picture was sent, or the file is empty."),
    Wrong("large.png", bytes((MAX_UPLOAD_MB << 20) + 1), "image/png", "The file is too large."),
    Wrong("wide.gif", gif(8000, 5001), "image/gif", "more than 40 million pixels"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_file_is_explained_and_the_next_one_is_accepted(
    visitor: Visitor, picture: Path, wrong: Wrong
) -> None:
    page = visitor.page
    visitor.open()
    visitor.choose(wrong.file())
    if wrong.status:
        visitor.expects(f"status of {wrong.status}")
        page.click("[data-submit]")
    expect(page.get_by_role("alert")).to_contain_text(wrong.message)
    visitor.choose(picture)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.click("[data-submit]")
    visitor.wait_for_results()
    assert visitor.results()[0].name == picture.name


def test_a_truncated_picture_is_explained_on_the_page_of_the_search(visitor: Visitor, picture: Path) -> None:
    content = picture.read_bytes()
    visitor.submit({"name": "half.jpg", "mimeType": "image/jpeg", "buffer": content[: len(content) // 2]})
    page = visitor.page
    expect(page.get_by_role("alert")).to_contain_text("The picture is damaged and cannot be read.")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.get_by_role("link", name="Choose another picture").click()
    visitor.choose(picture)
    page.click("[data-submit]")
    visitor.wait_for_results()


@pytest.mark.parametrize("wrong", [WRONG[0], *WRONG[2:]], ids=lambda wrong: wrong.name)
def test_without_a_script_the_server_explains_a_wrong_file(visit: Visit, picture: Path, wrong: Wrong) -> None:
    visitor = visit(java_script_enabled=False)
    visitor.expects("the server responded with a status of 4")
    visitor.open()
    visitor.choose(wrong.file())
    visitor.page.get_by_role("button", name="Search", exact=True).click()
    expect(visitor.page.get_by_role("alert")).to_contain_text(wrong.message)
    visitor.choose(picture)
    visitor.page.get_by_role("button", name="Search", exact=True).click()
    visitor.wait_for_results()
