"""Clients of the installation: browsers that send the form, and programs that use the API.

Each behaves as a sensible client does. No answer: send the same submission again. A refusal: wait as long as
it says, then start anew. A search that failed and may be retried: press Retry.
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

from tests.campaigns.chaos.deployment import signed
from tests.campaigns.chaos.tickets import Ticket
from tests.support.web import JSON, TOKEN

TIMEOUTS = (3.0, 15.0)  # seconds to connect, and without a byte of the answer
REPEAT = 0.5  # seconds after no answer
POLL = 1.0  # seconds between two status requests
LONG_POLL = 5  # seconds that a program lets the server wait
LONGEST_WAIT = 10.0  # seconds after a refusal, at most
REFUSALS = (429, 503)


class NoAnswerError(Exception):
    """The server did not answer, or sent no form to submit."""


class Transport(Protocol):
    """How a client talks to the site."""

    def send(self, content: bytes, submission: str) -> requests.Response: ...
    def status(self, search_id: str) -> requests.Response: ...
    def again(self, search_id: str) -> str | None:
        """Press Retry and return the new search's id; None where the transport has no Retry."""

    def close(self) -> None:
        """Close the connection."""


class _Caller:
    def __init__(self, address: str) -> None:
        self._address = address
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(
                method, self._address + path, timeout=TIMEOUTS, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise NoAnswerError(type(error).__name__) from error


class Page(_Caller):
    """A browser: loads the home page, sends the form, and polls the status as the page's script does."""

    def send(self, content: bytes, submission: str) -> requests.Response:
        files = {"image": ("p.png", io.BytesIO(content), "image/png")}
        form = {"csrf_token": self._token(), "submission": submission}
        return self._ask("POST", "/searches", data=form, files=files, headers=JSON)

    def status(self, search_id: str) -> requests.Response:
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
    """A program with an API token."""

    def __init__(self, address: str, token: str) -> None:
        super().__init__(address)
        self._session.headers["Authorization"] = f"Bearer {token}"

    def send(self, content: bytes, submission: str) -> requests.Response:
        headers = {"Idempotency-Key": submission, "Content-Type": "image/png"}
        return self._ask("POST", "/api/v1/searches", data=content, headers=headers)

    def status(self, search_id: str) -> requests.Response:
        return self._ask("GET", f"/api/v1/searches/{search_id}?wait={LONG_POLL}")

    def again(self, search_id: str) -> str | None:
        return None


class Client:
    """A client that carries out searches one after another.

    Parameters
    ----------
    transport : Transport
    pictures : list of bytes
        The campaign's.
    tickets : list of Ticket
        Every submission is appended to it.
    ending : threading.Event
        Set when clients must stop waiting.
    """

    def __init__(
        self, transport: Transport, pictures: list[bytes], tickets: list[Ticket], ending: threading.Event
    ) -> None:
        self._transport, self._pictures, self._tickets, self._ending = transport, pictures, tickets, ending
        self._mine: list[Ticket] = []

    def search(self, name: str, picture: int) -> None:
        """Search until the search ends for good."""
        names = (f"{name}-{number}" for number in itertools.count(1))
        ticket = self._submitted(names, picture)
        while ticket is not None and self._ended(ticket) and ticket.status == "failed":
            ticket = self._again(ticket) or self._submitted(names, picture)

    def verify(self) -> None:
        """Check that everything it was told still holds, and close the connection."""
        for ticket in self._mine:
            if not ticket.ended:
                continue
            told = Ticket(ticket.submission, ticket.picture)
            answer = self._patiently(functools.partial(self._transport.status, ticket.search_id))
            if answer is None or answer.status_code != 200:
                ticket.wrong.append(f"verified: {answer and answer.status_code}")
                continue
            told.take(answer.json())
            if (told.status, told.code, told.hits) != (ticket.status, ticket.code, ticket.hits):
                ticket.wrong.append(f"verified: {told.status} {told.code} {told.hits}")
        self._transport.close()

    def _submitted(self, names: Iterator[str], picture: int) -> Ticket | None:
        """Submit until accepted; after each refusal, submit under the next name."""
        while not self._ending.is_set():
            ticket = self._note(Ticket(next(names), picture))
            pause = self._submit(ticket)
            if ticket.search_id:
                return ticket
            self._ending.wait(pause)
        return None

    def _submit(self, ticket: Ticket) -> float:
        """Send one submission until it is accepted or refused; return how long to wait afterwards.

        A request without an answer may have been accepted, so a later refusal does not count for it.
        """
        content = signed(self._pictures[ticket.picture], ticket.submission)
        ticket.asked = time.time()
        unanswered = False
        while not self._ending.is_set():
            try:
                answer = self._transport.send(content, ticket.submission)
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
        """Watch a search to its end; return False where it has none."""
        look = functools.partial(self._transport.status, ticket.search_id)
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
        """Press Retry until there is an answer; return None where the transport has no Retry."""
        while not self._ending.is_set():
            failed.presses += 1
            try:
                search_id = self._transport.again(failed.search_id)
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
        """Ask until the answer is not a refusal; return None where the campaign ends first."""
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
