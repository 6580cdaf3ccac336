"""What clients record: each submission, and what they were told about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Hit = tuple[int, str, str, float]
"""Rank, item, name and score of one result."""


@dataclass
class Ticket:
    """One submission of one picture, from the first request to its acceptance or refusal.

    Attributes
    ----------
    submission : str
        The form's token or the API's ``Idempotency-Key``; for a press of Retry, which has neither, the token
        of the search that failed.
    picture : int
        Which picture.
    tries : int
        How often it was sent; again only after no answer.
    search_id : str
        The search's id as the server returned it; empty before.
    refused : int
        The status of a refusal, else 0.
    presses : int
        How often Retry was sent for its failed search.
    status, code, hits
        How the search ended, as the client was told.
    wrong : list of str
        Answers that are wrong.
    asked, accepted, ended : float
        Seconds since 1970; 0 where it has not happened.
    """

    submission: str
    picture: int
    is_retry: bool = False
    tries: int = 0
    search_id: str = ""
    refused: int = 0
    presses: int = 0
    status: str = ""
    code: str = ""
    hits: list[Hit] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    asked: float = 0.0
    accepted: float = 0.0
    ended: float = 0.0

    def take(self, told: dict[str, Any]) -> None:
        """Record the end of the search as the status answer gives it."""
        self.status = told["status"]
        self.code = told["error"]["code"] if told["error"] else ""
        self.hits = [(hit["rank"], hit["item"], hit["name"], hit["score"]) for hit in told["results"]]
