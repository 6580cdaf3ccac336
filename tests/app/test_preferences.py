"""Language and theme: as chosen, else as the browser prefers."""

from __future__ import annotations

import pytest

from tests.support.web import Browser


def language(browser: Browser, accepted: str | None = None) -> str:
    headers = {"Accept-Language": accepted} if accepted else {}
    page = browser.get("/login", headers=headers).text
    return page.split('<html lang="')[1].split('"')[0]


@pytest.mark.parametrize(
    ("accepted", "shown"),
    [
        (None, "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-TW", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("en-GB,zh;q=0.5", "en"),
        ("de-DE,zh;q=0.5,en;q=0.1", "zh-Hans"),
        ("de, fr", "en"),
        ("*", "en"),
        ("x" * 3000, "en"),
        ("zh_Hans;q=nonsense", "en"),
    ],
)
def test_pages_are_in_the_language_of_the_browser(client: Browser, accepted: str | None, shown: str) -> None:
    assert language(client, accepted) == shown


def test_a_chosen_language_takes_precedence_and_leads_back(client: Browser) -> None:
    answer = client.post("/preferences", {"language": "zh_Hans", "next": "/gallery?page=2"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/gallery?page=2")
    assert language(client, "en") == "zh-Hans"
    client.post("/preferences", {"language": "en"})
    assert language(client, "zh-CN") == "en"


def test_a_theme_is_remembered(client: Browser) -> None:
    assert 'data-theme="auto"' in client.get("/login").text
    client.post("/preferences", {"theme": "dark"})
    assert 'data-theme="dark"' in client.get("/login").text


@pytest.mark.parametrize("sent", [{"language": "xx"}, {"theme": "<script>"}, {}, {"language": "../en"}])
def test_invalid_choices_change_nothing(client: Browser, sent: dict[str, str]) -> None:
    answer = client.post("/preferences", sent)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert not any("vitrine_language" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


def test_the_way_back_stays_on_this_site(client: Browser) -> None:
    assert client.post("/preferences", {"next": "//evil.com"}).headers["Location"] == "/"


def test_errors_are_in_the_chosen_language(client: Browser) -> None:
    english = client.search(content=b"hello").json["error"]["message"]
    client.post("/preferences", {"language": "zh_Hans"})
    assert client.search(content=b"hello").json["error"]["message"] != english
