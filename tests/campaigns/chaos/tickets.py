"""What the clients of a campaign remember: what they have asked for, and what they were told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Hit = tuple[int, str, str, float]
"""Rank, item, name and score of one result."""


@dataclass
class Ticket:
    """One submission of one picture, however often it was sent, until it is accepted or refused.

    Attributes
    ----------
    submission : str
        The form's token or the API's ``Idempotency-Key``; of a pressed Retry, which has none, what it was
        pressed for.
    picture : int
        Which picture.
    tries : int
        How often it was sent; more than once only where no answer came.
    search_id : str
        Of the search that it was told of; empty where it never was.
    refused : int
        The status of a refusal, else 0.
    presses : int
        How often Retry was sent for its search, which had failed.
    status, code, hits
        How the search ended, as the client was told.
    wrong : list of str
        Answers that must not be.
    asked, accepted, ended : float
        When, in seconds since 1970; 0 where it never was so.
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
        """Note the end of the search as a client is told of it."""
        self.status = told["status"]
        self.code = told["error"]["code"] if told["error"] else ""
        self.hits = [(hit["rank"], hit["item"], hit["name"], hit["score"]) for hit in told["results"]]
