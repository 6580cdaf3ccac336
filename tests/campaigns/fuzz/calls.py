"""Requests against every route: seeded, valid enough to get far and invalid enough to do harm."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.routing import Map, Rule
from werkzeug.test import EnvironBuilder

from tests.campaigns.fuzz import bodies, hostile

VARIABLE = re.compile(r"<(?:[^:>]*:)?([^>]+)>")
FOR_GUESTS = frozenset({"/login", "/signup"})
QUERY_NAMES = ("page", "q", "v", "next", "wait")
HEADERS = (
    *("Accept", "Accept-Language", "Accept-Encoding", "Host", "Origin", "Referer", "User-Agent", "Range"),
    *("If-None-Match", "If-Modified-Since", "If-Range", "X-Request-ID", "X-Forwarded-For", "Expect"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "Idempotency-Key", "X-CSRFToken", "Authorization", "Cookie"),
    *("X-HTTP-Method-Override", "Transfer-Encoding", "Sec-Fetch-Site", "Content-Encoding"),
)
SENSIBLE = {
    "Accept": ("application/json", "text/html", "*/*;q=0.1, application/json"),
    "Accept-Language": ("zh-CN,zh;q=0.9", "en", "zh_Hans", "*"),
    "Range": (
        "bytes=0-",
        "bytes=5-2",
        "bytes=-0",
        "bytes=0-1,3-4",
        "bytes=99999999-",
        "bytes=-99999999999999",
    ),
    "If-None-Match": ("*", '"x"', 'W/"x"'),
    "If-Modified-Since": ("Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "0"),
    "X-Forwarded-For": ("unknown", "1.2.3.4:5678", "[::1]:80", "::ffff:1.2.3.4", "fe80::1%eth0", ",", "_x"),
    "Host": ("localhost", "[::1]:8000", "evil.example", "a:b:c", "127.0.0.1:99999999"),
    "Origin": ("null", "https://evil.example"),
    "Idempotency-Key": ("0123456789abcdef",),
}


@dataclass(frozen=True)
class Caller:
    """A client with its cookies, token and known ids.

    `form` holds what their forms have to carry, `values` what there is for them to ask for, by the names of
    the routes' variables.
    """

    cookie: str = ""
    token: str = ""
    member: bool = False
    form: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request of a campaign; `rule` is the route it is meant for."""

    number: int
    rule: str
    environ: dict[str, Any]

    def story(self) -> str:
        """Return it as readable text."""
        lines = [f"{name}: {value!r}" for name, value in self.environ.items() if name != "wsgi.input"]
        return "\n".join([*lines, "", repr(self.environ["wsgi.input"].getvalue()[:20_000])])


def targets(url_map: Map) -> list[tuple[str, Rule]]:
    """Return every method of every route in a fixed order, then once more those that take bodies."""
    pairs = [(method, rule) for rule in url_map.iter_rules() for method in sorted(rule.methods or ())]
    every = sorted(pairs, key=lambda pair: (pair[1].rule, pair[0]))
    return every + [pair for pair in every if pair[0] == "POST"] * 2


def request(
    campaign: int, number: int, turns: Sequence[tuple[str, Rule]], callers: Sequence[Caller]
) -> Request:
    """Make one request of a campaign, for the route whose turn it is."""
    rng = random.Random(f"request {campaign} {number}")
    method, rule = turns[number % len(turns)]
    fitting = [caller for caller in callers if _fits(caller, rule.rule)]
    caller = rng.choice(fitting if rng.random() < 0.8 else callers)
    path = _path(rng, rule.rule, caller.values) if rng.random() < 0.97 else b"/" + hostile.segment(rng)
    method = method if rng.random() < 0.95 else rng.choice(hostile.METHODS)
    sent = bodies.Body("", b"")
    if method not in ("GET", "HEAD", "OPTIONS") or rng.random() < 0.02:
        sent = bodies.body(rng, rule.rule, caller.form)
    builder = EnvironBuilder(method=method, base_url=rng.choice(("http://localhost/", "https://localhost/")))
    environ = builder.get_environ()
    environ |= {
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": hostile.query(rng, QUERY_NAMES) if rng.random() < 0.5 else "",
        "REMOTE_ADDR": f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}",
        "CONTENT_TYPE": sent.content_type,
        "CONTENT_LENGTH": str(len(sent.data)),
        "wsgi.input": io.BytesIO(sent.data),
    }
    environ |= {_wsgi_name(name): value for name, value in _headers(rng, caller).items()}
    return Request(number, rule.rule, environ)


def _fits(caller: Caller, rule: str) -> bool:
    if rule in FOR_GUESTS:
        return bool(caller.cookie) and not caller.member
    return bool(caller.token if rule.startswith("/api/") else caller.cookie)


def _path(rng: random.Random, rule: str, values: Mapping[str, Sequence[str]]) -> bytes:
    """Fill in a route's variables, every fourth time with a hostile value."""

    def fill(found: re.Match[str]) -> str:
        good = values.get(found[1], ())
        if good and rng.random() < 0.75:
            return rng.choice(good)
        return hostile.segment(rng).decode("latin-1")

    return VARIABLE.sub(fill, rule).encode("latin-1")


def _headers(rng: random.Random, caller: Caller) -> dict[str, str]:
    headers = {"Referer": "https://localhost/"}  # without it, forms sent over HTTPS are refused
    if caller.cookie:
        headers["Cookie"] = caller.cookie
    if caller.token:
        headers["Authorization"] = f"Bearer {caller.token}"
    if "csrf_token" in caller.form and rng.random() < 0.7:
        headers["X-CSRFToken"] = caller.form["csrf_token"]
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        name = rng.choice(HEADERS)
        sensible = name in SENSIBLE and rng.random() < 0.7
        headers[name] = rng.choice(SENSIBLE[name]) if sensible else hostile.header(rng)
    return headers


def _wsgi_name(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")
