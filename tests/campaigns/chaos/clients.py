"""Clients of the installation: browsers that send the form, and programs that use the API.

Each does what a sensible one does. No answer: the same submission again. A refusal: wait as long as it says,
then begin anew. A search that failed and may be tried again: press Retry.
"""

from __future__ import annotations

import functools
import io
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import requests

from tests.campaigns.chaos.stage import signed
from tests.campaigns.chaos.tickets import Ticket
from tests.support.web import JSON, TOKEN

TIMEOUTS = (3.0, 15.0)  # seconds to connect, and without a byte of the answer
REPEAT = 0.5  # seconds after no answer
POLL = 1.0  # seconds between two looks at a search
LONG_POLL = 5  # seconds that a program lets the server wait
LONGEST_WAIT = 10.0  # seconds after a refusal, whatever it says
REFUSALS = (429, 503)


class NoAnswerError(Exception):
    """The server did not answer, or not as far as was needed to ask."""


class Door(Protocol):
    """A way in."""

    def send(self, content: bytes, submission: str) -> requests.Response: ...
    def look(self, search_id: str) -> requests.Response: ...
    def again(self, search_id: str) -> str | None:
        """Press Retry: the new search's id; None where this way in has no such thing."""

    def leave(self) -> None:
        """Close the connection."""


class _Caller:
    def __init__(self, address: str) -> None:
        self._address = address
        self._session = requests.Session()
        self._session.trust_env = False

    def leave(self) -> None:
        self._session.close()

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(
                method, self._address + path, timeout=TIMEOUTS, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise NoAnswerError(type(error).__name__) from error


class Page(_Caller):
    """A browser: it looks at the home page, sends the form, and asks for the status as the script does."""

    def send(self, content: bytes, submission: str) -> requests.Response:
        files = {"image": ("p.png", io.BytesIO(content), "image/png")}
        form = {"csrf_token": self._token(), "submission": submission}
        return self._ask("POST", "/searches", data=form, files=files, headers=JSON)

    def look(self, search_id: str) -> requests.Response:
        return self._ask("GET", f"/searches/{search_id}/status")

    def again(self, search_id: str) -> str | None:
        answer = self._ask("POST", f"/searches/{search_id}/again", data={"csrf_token": self._token()})
        if answer.status_code != 303:
            raise NoAnswerError(f"status {answer.status_code}")
        return answer.headers["Location"].rpartition("/")[2]

    def _token(self) -> str:
        page = self._ask("GET", "/")
        found = TOKEN.search(page.text) if page.ok else None
        if found is None:
            raise NoAnswerError(f"no form, status {page.status_code}")
        return found[1]


class Program(_Caller):
    """A program with a token."""

    def __init__(self, address: str, token: str) -> None:
        super().__init__(address)
        self._session.headers["Authorization"] = f"Bearer {token}"

    def send(self, content: bytes, submission: str) -> requests.Response:
        headers = {"Idempotency-Key": submission, "Content-Type": "image/png"}
        return self._ask("POST", "/api/v1/searches", data=content, headers=headers)

    def look(self, search_id: str) -> requests.Response:
        return self._ask("GET", f"/api/v1/searches/{search_id}?wait={LONG_POLL}")

    def again(self, search_id: str) -> str | None:
        return None


class Client:
    """Somebody with a way in, who carries out searches one after another.

    Parameters
    ----------
    door : Door
        The way in.
    pictures : list of bytes
        The campaign's.
    tickets : list of Ticket
        Where every submission is noted.
    ending : threading.Event
        Set when nobody shall wait any longer.
    """

    def __init__(
        self, door: Door, pictures: list[bytes], tickets: list[Ticket], ending: threading.Event
    ) -> None:
        self._door, self._pictures, self._tickets, self._ending = door, pictures, tickets, ending
        self._mine: list[Ticket] = []

    def search(self, name: str, picture: int) -> None:
        """Search until there is an end that stays."""
        names = (f"{name}-{number}" for number in itertools.count(1))
        ticket = self._submitted(names, picture)
        while ticket is not None and self._ended(ticket) and ticket.status == "failed":
            ticket = self._again(ticket) or self._submitted(names, picture)

    def look_once_more(self) -> None:
        """See whether everything that was told still holds, and leave."""
        for ticket in self._mine:
            if not ticket.ended:
                continue
            told = Ticket(ticket.submission, ticket.picture)
            answer = self._patiently(functools.partial(self._door.look, ticket.search_id))
            if answer is None or answer.status_code != 200:
                ticket.wrong.append(f"looked once more: {answer and answer.status_code}")
                continue
            told.take(answer.json())
            if (told.status, told.code, told.hits) != (ticket.status, ticket.code, ticket.hits):
                ticket.wrong.append(f"looked once more: {told.status} {told.code} {told.hits}")
        self._door.leave()

    def _submitted(self, names: Iterator[str], picture: int) -> Ticket | None:
        """Submit until accepted, each refusal followed by a submission of the next name."""
        while not self._ending.is_set():
            ticket = self._note(Ticket(next(names), picture))
            pause = self._submit(ticket)
            if ticket.search_id:
                return ticket
            self._ending.wait(pause)
        return None

    def _submit(self, ticket: Ticket) -> float:
        """Send one submission until it is accepted or refused; return how long to wait then.

        Once a try has gone unanswered it may have got in, so that a later refusal says nothing of it.
        """
        content = signed(self._pictures[ticket.picture], ticket.submission)
        ticket.asked = time.time()
        unanswered = False
        while not self._ending.is_set():
            try:
                answer = self._door.send(content, ticket.submission)
            except NoAnswerError:
                unanswered = True
                ticket.tries += 1
                self._ending.wait(REPEAT)
                continue
            ticket.tries += 1
            if answer.status_code == 201:
                ticket.search_id, ticket.accepted = answer.json()["id"], time.time()
                return 0.0
            if answer.status_code not in REFUSALS:
                ticket.wrong.append(f"submitted: status {answer.status_code}")
            pause = min(float(answer.headers.get("Retry-After", REPEAT)), LONGEST_WAIT)
            if not unanswered:
                ticket.refused = answer.status_code
                return pause
            self._ending.wait(pause)
        return 0.0

    def _ended(self, ticket: Ticket) -> bool:
        """Watch a search to its end; False where it came to none."""
        look = functools.partial(self._door.look, ticket.search_id)
        while (answer := self._patiently(look)) is not None:
            if answer.status_code != 200:
                ticket.wrong.append(f"watched: status {answer.status_code}")
                return False
            told = answer.json()
            if told["status"] in ("done", "failed"):
                ticket.take(told)
                ticket.ended = time.time()
                return True
            self._ending.wait(POLL)
        return False

    def _again(self, failed: Ticket) -> Ticket | None:
        """Press Retry, until there is an answer; None where there is no such button."""
        while not self._ending.is_set():
            failed.presses += 1
            try:
                search_id = self._door.again(failed.search_id)
            except NoAnswerError:
                self._ending.wait(REPEAT)
                continue
            if search_id is None:
                failed.presses = 0
                return None
            now = time.time()
            ticket = Ticket(f"{failed.submission}-retry", failed.picture, is_retry=True, tries=1)
            ticket.search_id, ticket.asked, ticket.accepted = search_id, now, now
            return self._note(ticket)
        return None

    def _patiently(self, ask: Callable[[], requests.Response]) -> requests.Response | None:
        """Ask until there is an answer that is no refusal; None where the campaign ends first."""
        while not self._ending.is_set():
            try:
                answer = ask()
            except NoAnswerError:
                self._ending.wait(REPEAT)
                continue
            if answer.status_code not in REFUSALS:
                return answer
            self._ending.wait(REPEAT)
        return None

    def _note(self, ticket: Ticket) -> Ticket:
        self._tickets.append(ticket)
        self._mine.append(ticket)
        return ticket
