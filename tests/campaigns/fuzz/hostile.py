"""Values that break programs: in URLs, forms, headers and file names."""

from __future__ import annotations

import random
from urllib.parse import quote_from_bytes

MARK = b"vitrine-was-here"
"""Part of every text that would be a script or a header if it came through unescaped."""

SCRIPTS = (
    b"<script>" + MARK + b"</script>",
    b"\"'><svg onload=" + MARK + b">",
    b"javascript:" + MARK,
    b"\r\nSet-Cookie: " + MARK + b"=1",
    b"%0d%0aSet-Cookie:%20" + MARK,
)
TEXTS = (
    *(b"", b" ", b"0", b"-0", b"-1", b"1", b"1.5", b"1e999", b"NaN", b"-inf", b"0x10", b"null", b"[]", b"{}"),
    *(b"9" * 19, b"9" * 40, b"9" * 5000, b"-" + b"9" * 30, b"2147483648", b"9223372036854775808"),
    *(b"\0", b"a\0b", b"\x7f", b"\x1b[31m", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3\x28", b"\xf0\x9f\x96\xbc"),
    *("фото", "名前", "\u202egpj", "ﬁ", "İ", "ß", "e\u0301" * 50, "\u200b", "\ufeff", "𝕏"),
    *(b"../../etc/passwd", b"..\\..\\x", b"/etc/passwd", b"//evil.example/", b"/\\evil.example", b"a/../b"),
    *(b"' OR 1=1 --", b'"; DROP TABLE users; --', b"%s%n%x", b"{{7*7}}", b"${7*7}", b"%", b"%zz", b"%00"),
    *(b"A" * 300, b"A" * 5000, b"a," * 2000, b"=" * 100, b"&" * 200, b"en;q=" * 50),
    *SCRIPTS,
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "GET2", "")


def text(rng: random.Random) -> bytes:
    """One hostile value, as bytes: not necessarily UTF-8."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(60))
    chosen = rng.choice(TEXTS)
    return chosen.encode() if isinstance(chosen, str) else chosen


def header(rng: random.Random) -> str:
    """One hostile value that a web server would let through in a header: no control characters."""
    printable = bytes(byte for byte in text(rng) if byte >= 32 and byte != 127)
    return printable[:4000].decode("latin-1").strip()


def segment(rng: random.Random) -> bytes:
    """One part of a path, as it is after percent-decoding."""
    return text(rng)[:6000]


def query(rng: random.Random, names: tuple[str, ...]) -> str:
    """A query string of known and unknown names."""
    pairs = []
    for _ in range(rng.choice((0, 1, 1, 2, 6))):
        name = rng.choice(names).encode() if rng.random() < 0.85 else text(rng)[:50]
        pairs.append(quote_from_bytes(name) + "=" + quote_from_bytes(text(rng)[:6000]))
    joined = "&".join(pairs)
    return joined if rng.random() < 0.9 else joined + rng.choice(("&&&", "=;=", "%", "%%%", "?", "&a" * 500))
