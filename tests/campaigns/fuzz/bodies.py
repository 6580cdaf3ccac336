"""Bodies of requests: forms, files and JSON, right and wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.campaigns.fuzz import hostile
from tests.campaigns.fuzz.mutants import mutant
from tests.campaigns.fuzz.seeds import seeds

FIELDS = (
    *("username", "password", "current", "remember", "name", "language", "theme", "next", "submission"),
    *("image", "csrf_token"),
)
GOOD = {
    "language": ("en", "zh_Hans"),
    "theme": ("light", "dark", "auto"),
    "next": ("/history", "/gallery?page=2"),
    "submission": ("0123456789abcdef",),
    "name": ("shop",),
    "username": ("nobody", "maria"),
}
PASSWORDS = ("password", "current")
BOUNDARY = b"----vitrine"
TYPES = (
    *("application/json", "text/plain", "application/octet-stream", "image/jpeg", "application/xml", "", "x"),
    *("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 300),
    *("application/x-www-form-urlencoded; charset=utf-16", "multipart/mixed; boundary=x", "a/b/c;;=;"),
)


class Body(NamedTuple):
    """A body and its Content-Type."""

    content_type: str
    data: bytes


def body(rng: random.Random, rule: str, form: Mapping[str, str]) -> Body:
    """Make a body; every other one is of the kind that the route accepts.

    `form` holds the fields that have to be right for a view to be reached.
    """
    make = FITTING.get(rule, _urlencoded) if rng.random() < 0.5 else rng.choice(MAKERS)
    return make(rng, form)


def picture(rng: random.Random) -> bytes:
    """A picture: valid, mutated, or not a picture at all."""
    if rng.random() < 0.4:
        return rng.choice(seeds()).data
    return mutant(rng.getrandbits(32), rng.getrandbits(16)).data if rng.random() < 0.8 else hostile.text(rng)


def _values(rng: random.Random, form: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Fields of a form; now and then a required one is missing or occurs twice."""
    pairs = [(name.encode(), value.encode()) for name, value in form.items() if rng.random() < 0.95]
    for _ in range(rng.choice((0, 1, 2, 4))):
        name = rng.choice(FIELDS)
        good = rng.random() < 0.3 and name in GOOD
        value = rng.choice(GOOD[name]).encode() if good else hostile.text(rng)
        pairs.append((name.encode() if rng.random() < 0.9 else hostile.text(rng), value))
    return pairs


def _urlencoded(rng: random.Random, form: Mapping[str, str]) -> Body:
    return Body("application/x-www-form-urlencoded", urlencode(_values(rng, form)).encode())


def _multipart(rng: random.Random, form: Mapping[str, str]) -> Body:
    parts = [_part(name, value) for name, value in _values(rng, form)]
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        name = b"image" if rng.random() < 0.9 else hostile.text(rng)[:40]
        parts.append(_part(name, picture(rng), filename=hostile.text(rng)))
    if rng.random() < 0.03:
        parts *= 40
    data = b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"
    return Body(f"multipart/form-data; boundary={BOUNDARY.decode()}", data)


def _broken_multipart(rng: random.Random, form: Mapping[str, str]) -> Body:
    whole = _multipart(rng, form)
    cut = whole.data[: rng.randrange(len(whole.data) + 1)]
    if rng.random() < 0.5:
        cut = cut.replace(
            rng.choice((b"\r\n", b"Content-Disposition", b'"', b"form-data")), hostile.text(rng)
        )
    return Body(whole.content_type if rng.random() < 0.7 else rng.choice(TYPES), cut)


def _json(rng: random.Random, _form: Mapping[str, str]) -> Body:
    said = hostile.text(rng).decode("utf-8", "replace")
    value: Any = rng.choice((said, None, 1e308, -1, True, [], {}, [said] * 3))
    sent = rng.choice((value, {"username": value, "password": rng.choice((value, said))}))
    data = json.dumps(sent).encode()
    if rng.random() < 0.2:
        odd = (
            b"[" * 50_000,
            b'{"a":' * 12_000,
            b"9" * 20_000,
            b'{"username":1e999}',
            b'"\\ud800"',
            b"\xff\xfe",
        )
        data = rng.choice((*odd, data[:-1], b'{"username":"\\udfff","password":"\\ud800\\u0000"}'))
    return Body("application/json", data)


def _raw(rng: random.Random, _form: Mapping[str, str]) -> Body:
    data = picture(rng) if rng.random() < 0.6 else rng.randbytes(rng.choice((0, 10, 1000, 70_000)))
    return Body(rng.choice(TYPES), data)


def _part(name: bytes, value: bytes, filename: bytes | None = None) -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"' % (BOUNDARY, name)
    if filename is not None:
        head += b'; filename="%b"\r\nContent-Type: image/jpeg' % filename
    return head + b"\r\n\r\n" + value + b"\r\n"


Maker = Callable[[random.Random, Mapping[str, str]], Body]
MAKERS: tuple[Maker, ...] = (_urlencoded, _multipart, _broken_multipart, _json, _raw)
FITTING: dict[str, Maker] = {
    "/password-check": _json,
    "/searches": _multipart,
    "/api/v1/searches": _multipart,
}
