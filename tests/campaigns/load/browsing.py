"""One browser with cookies and a cache, doing what the pages' scripts do."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Self

import aiohttp

from tests.campaigns.load.answers import NO_ANSWER, Answer, Answers, Ended
from tests.campaigns.load.photographs import numbered
from tests.support.web import JSON, PASSWORD, TOKEN

FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.3, 1.35, 4.0  # of app/static/js/poll.js
AT_ONCE = 6  # concurrent requests of one browser
TIMEOUT = aiohttp.ClientTimeout(total=30.0)
PICTURE = re.compile(r'<img src="(/(?:gallery|searches)/[^"]+)"')
STATIC = re.compile(r'(?:href|src)="(/static/[^"]+\.(?:css|js|svg))"')
IMPORT = re.compile(r'^import .* from "\./([^"]+)";$', re.MULTILINE)
PATIENCE = 120.0  # seconds to wait for a search
IN_VIEW = 12  # pictures of a long page that are loaded at once
PAGES = {"history": "/history", "gallery": "/gallery", "about": "/about"}
ENDED = ("done", "failed")


class Page(NamedTuple):
    """An answer; `text` is empty for pictures."""

    status: int
    text: str


class Search(NamedTuple):
    """An accepted search; `picture` is the number of its query."""

    picture: int
    began: float
    url: str
    status_url: str


class Browser:
    """A browser; use it in an ``async with`` block.

    Parameters
    ----------
    site : str
        The site's address.
    answers : Answers
        Where everything that comes back is noted.
    pictures : sequence of bytes
        JPEG files to search with.
    number : int
        Tells this browser from others; what it does depends on nothing else.
    """

    def __init__(self, site: str, answers: Answers, pictures: Sequence[bytes], number: int) -> None:
        self._site, self._answers, self._pictures = site, answers, pictures
        self.number = number
        self._rng = random.Random(number)
        self._sent = 0
        self._kept: set[str] = set()
        self._watched = ""

    async def __aenter__(self) -> Self:
        jar = aiohttp.CookieJar(unsafe=True)  # accepts cookies of an IP address
        connections = aiohttp.TCPConnector(limit=AT_ONCE)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._session = aiohttp.ClientSession(
            self._site,
            cookie_jar=jar,
            connector=connections,
            timeout=TIMEOUT,
            headers={"Accept": "text/html"},
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def sign_up(self) -> None:
        """Sign up, which logs in as well."""
        page = await self._page("sign up", "/signup")
        fields = {"username": f"somebody-{self.number}", "password": PASSWORD, "csrf_token": _token(page)}
        await self._ask("sign up", "POST", "/signup", data=fields)

    async def visit(self) -> None:
        """Search with a picture, look at the results, and perhaps at another page."""
        if search := await self.put_in(await self.token()):
            await self._follow(search)
        other = self._rng.choice(("history", "history", "gallery", "gallery", "about"))
        await self._page(other, PAGES[other])

    async def token(self) -> str:
        """Open the home page; return its forms' token."""
        return _token(await self._page("home", "/"))

    async def put_in(self, token: str) -> Search | None:
        """Send another picture with the home page's form; return None where it is refused."""
        self._sent += 1
        number = self._rng.randrange(len(self._pictures))
        content = numbered(self._pictures[number], self.number << 20 | self._sent)
        form = aiohttp.FormData({"csrf_token": token, "submission": f"{self.number:08}-{self._sent:08}"})
        form.add_field("image", content, filename=f"{number}.jpg", content_type="image/jpeg")
        began = time.perf_counter()
        answer = await self._ask("upload", "POST", "/searches", data=form, headers=JSON)
        if answer.status != 201:
            return None
        told = json.loads(answer.text)
        return Search(number, began, told["url"], told["status_url"])

    async def _follow(self, search: Search) -> None:
        """Open the search's page, wait as it does, and load the results."""
        await self._page("waiting", search.url)
        state = await self.wait(search, time.perf_counter() + PATIENCE)
        if state and state["status"] == "done":
            await self._page("results", search.url)

    async def wait(self, search: Search, deadline: float) -> dict[str, Any]:
        """Poll the search until it has ended; return its state, empty where it did not end in time."""
        state = await self._poll(search.status_url, deadline, lambda state: state["status"] in ENDED)
        found = tuple(result["item"] for result in state.get("results", ()))
        seconds = time.perf_counter() - search.began
        ended = Ended(self._answers.phase, search.picture, state.get("status", ""), found, seconds)
        self._answers.searches.append(ended)
        self._watched = search.status_url
        return state

    async def watch(self, until: float) -> None:
        """Keep polling the latest search, at the pauses of a long one.

        So all browsers poll at all times, as they do with a larger model.
        """
        if self._watched:
            await self._poll(self._watched, until, lambda _state: False)
        await asyncio.sleep(max(0.0, until - time.perf_counter()))

    async def _poll(self, url: str, until: float, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        pause = FIRST_PAUSE
        while time.perf_counter() + pause < until:
            await asyncio.sleep(pause)
            answer = await self._ask("status", "GET", url, headers=JSON)
            state: dict[str, Any] = json.loads(answer.text) if answer.status == 200 else {}
            if state and enough(state):
                return state
            pause = min(pause * GROWTH, LONGEST_PAUSE)
        return {}

    async def _page(self, kind: str, path: str) -> Page:
        """Open a page, with the pictures, style sheets and scripts that are not cached yet."""
        page = await self._ask(kind, "GET", path)
        await self._load("static", STATIC.findall(page.text))
        await self._load("picture", [html.unescape(url) for url in PICTURE.findall(page.text)[:IN_VIEW]])
        return page

    async def _load(self, kind: str, urls: Iterable[str]) -> None:
        fresh = [url for url in dict.fromkeys(urls) if url not in self._kept]
        self._kept.update(url for url in fresh if not url.startswith("/searches/"))
        files = await asyncio.gather(*(self._ask(kind, "GET", url) for url in fresh))
        for url, file in zip(fresh, files, strict=True):
            folder = PurePosixPath(url).parent
            await self._load("static", [str(folder / name) for name in IMPORT.findall(file.text)])

    async def _ask(self, kind: str, method: str, url: str, **options: Any) -> Page:
        """Send a request and record the answer."""
        phase, status, text, headers = self._answers.phase, NO_ANSWER, "", {}
        async with self._slots:
            began = time.perf_counter()
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # recorded as no answer
                async with self._session.request(method, url, **options) as response:
                    body = await response.read()
                    status, headers = response.status, response.headers
            seconds = time.perf_counter() - began
        if status and not headers.get("Content-Type", "").startswith("image/"):
            text = body.decode()
        code = json.loads(text)["error"]["code"] if status >= 400 and text.startswith("{") else ""
        retry_after = headers.get("Retry-After", "")
        self._answers.answers.append(Answer(phase, kind, status, seconds, code, retry_after))
        return Page(status, text)


def _token(page: Page) -> str:
    found = TOKEN.search(page.text)
    return found[1] if found else ""  # the form is then refused, and recorded as such
