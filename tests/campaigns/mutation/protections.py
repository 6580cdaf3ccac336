"""The protections that ``make mutation`` removes one at a time, and the rows of reliability.md they serve."""

from __future__ import annotations

from typing import NamedTuple

from config import ROOT


class Protection(NamedTuple):
    """A piece of code that protects against something.

    `code` stands exactly once in `file`; `without` is what is left in its place. `row` is the number of what
    goes wrong then, as in docs/reliability.md.
    """

    name: str
    row: int
    file: str
    code: str
    without: str = ""

    def taken_away(self) -> str:
        """Return the file's text without the protection.

        Raises
        ------
        ValueError
            The code does not stand there once.
        """
        text = (ROOT / self.file).read_text(encoding="utf-8")
        if text.count(self.code) != 1:
            raise ValueError(f"{self.name}: found {text.count(self.code)} times in {self.file}")
        return text.replace(self.code, self.without)


PROTECTIONS = (
    Protection(
        "results are fenced by the attempt",
        2,
        "worker/attempts.py",
        "        Search.attempt == claim.attempt,\n",
    ),
    Protection(
        "a submission is looked for again when its turn comes",
        15,
        "app/searches/service.py",
        "            search_id = _submitted(session, owner, submission)\n",
        "            search_id = None\n",
    ),
    Protection(
        "searches without a job are enqueued again",
        9,
        "worker/reconciler.py",
        "                _enqueue(found)\n",
        "                pass\n",
    ),
    Protection(
        "a Redis that may evict is refused",
        10,
        "app/redis_policy.py",
        'if policy == "noeviction" or limit == "0":',
        "if True:",
    ),
    Protection(
        "only the one job there is may be named",
        13,
        "worker/guard.py",
        '        if self.func_name != JOB:\n            raise RefusedJobError("wrong function")\n',
    ),
    Protection(
        "an overrun passes every `except Exception`",
        14,
        "worker/limits.py",
        "class Overrun(BaseException):",
        "class Overrun(Exception):",
    ),
    Protection(
        "the queue has an end",
        16,
        "app/searches/limits.py",
        "    most = settings().max_queue\n",
        "    most = 10**9\n",
    ),
    Protection(
        "files of the index are compared with their checksums",
        22,
        "gallery/generations.py",
        "and (not contents or sha256_file(path) == expected.sha256)",
        "",
    ),
    Protection(
        "the index names the weights it was made with",
        26,
        "gallery/store.py",
        "if expected is not None and expected != store.fingerprint:",
        "if False:",
    ),
    Protection(
        "writers to SQLite take the lock first",
        28,
        "app/transactions.py",
        '"BEGIN IMMEDIATE" if writing else "BEGIN"',
        '"BEGIN"',
    ),
    Protection(
        "pixels are counted before they are decoded",
        30,
        "model/pictures/gate.py",
        "if width * height > cap:",
        "if False:",
    ),
    Protection(
        "what is served is a picture and nothing else",
        34,
        "app/gallery/files.py",
        "style-src 'unsafe-inline'; sandbox\"",
        "style-src 'unsafe-inline'; script-src 'self'\"",
    ),
    Protection(
        "bodies have a limit",
        37,
        "app/security.py",
        '        "MAX_CONTENT_LENGTH": chosen.max_upload_mb * 2**20 + MULTIPART_OVERHEAD,\n',
    ),
    Protection(
        "a search is shown to its owner alone",
        40,
        "app/searches/service.py",
        "sa.select(Search).where(Search.id == search_id, Search.owned_by(owner))",
        "sa.select(Search).where(Search.id == search_id)",
    ),
    Protection(
        "logging out ends the session on the server",
        41,
        "app/accounts/sessions.py",
        "    if current_user.is_authenticated:\n        with",
        "    if False:\n        with",
    ),
    Protection(
        "logging in begins a new session",
        42,
        "app/accounts/sessions.py",
        "    session.clear()\n    login_user(",
        "    login_user(",
    ),
    Protection(
        "`next` leads to our own pages only",
        43,
        "app/paths.py",
        "if not target or len(target) > MAX_LENGTH or not OUR_PATH.fullmatch(target):",
        "if not target:",
    ),
    Protection(
        "forms carry a token",
        44,
        "app/security.py",
        "        csrf.protect()\n",
        "        pass\n",
    ),
    Protection(
        "guesses are counted",
        45,
        "app/accounts/service.py",
        "    throttle.charge(buckets, throttle.PASSWORD_TRIES)\n",
    ),
    Protection(
        "nobody's password is hashed like anybody's",
        46,
        "app/accounts/passwords.py",
        "    known = stored if stored is not None else DUMMY_HASH\n",
        "    if stored is None:\n        return False\n    known = stored\n",
    ),
    Protection(
        "letters that look alike are one letter",
        47,
        "app/accounts/names.py",
        "return folded.translate(LOOK_ALIKES)",
        "return folded",
    ),
    Protection(
        "forwarded addresses are believed by setting only",
        48,
        "app/security.py",
        "    if chosen.proxy_hops:\n        hops = chosen.proxy_hops\n",
        "    if True:\n        hops = chosen.proxy_hops or 1\n",
    ),
    Protection(
        "an account takes its searches along when it goes",
        50,
        "app/accounts/service.py",
        "    storage.remove(files)\n",
    ),
    Protection(
        "a file of the gallery is served only while it is a picture",
        51,
        "gallery/originals.py",
        "        kind = probe(file).format\n",
        "        kind = item.format\n",
    ),
    Protection(
        "a database of another site is refused",
        52,
        "app/pairing.py",
        "        if file is not None or storage.census().absurd:\n",
        "        if False:\n",
    ),
    Protection(
        "a sweep refuses to set most files aside",
        52,
        "app/uploads/storage.py",
        "    if limited and found.absurd:\n",
        "    if False:\n",
    ),
    Protection(
        "an outage is not an attempt",
        53,
        "worker/attempts.py",
        "            attempt=Search.attempt - 1,\n",
    ),
    Protection(
        "files are private whatever the umask",
        54,
        "app/private_files.py",
        "    os.umask(_OTHERS)\n",
        "    pass\n",
    ),
    Protection(
        "a known device has its own limit of guesses",
        71,
        "app/accounts/service.py",
        "    if device is not None:\n",
        "    if False:\n",
    ),
    Protection(
        "visitors are limited by their address",
        72,
        "app/searches/service.py",
        "    received = gate.receive(stream, filename)\n    limits.charge_address(owner)\n",
        "    received = gate.receive(stream, filename)\n",
    ),
    Protection(
        "accounts keep a part of the queue",
        72,
        "app/searches/limits.py",
        "    if not full and owner.visitor is not None:\n",
        "    if False:\n",
    ),
    Protection(
        "the pictures of an owner have a quota",
        72,
        "app/searches/service.py",
        "    limits.check_storage(db.session(), owner)\n",
    ),
    Protection(
        "a bucket from the future does not lock",
        73,
        "app/throttle.py",
        ", Throttle.empty_at > most),\n",
        "),\n",
    ),
    Protection(
        "on loopback only loopback names are answered",
        74,
        "app/security.py",
        "        return LOOPBACK_NAMES\n",
        "        return None\n",
    ),
)
