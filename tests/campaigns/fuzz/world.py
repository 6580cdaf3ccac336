"""An application with everything that a request can ask for: gallery, accounts, searches in every state."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, request
from werkzeug.test import run_wsgi_app

from app import create_app
from app.accounts import tokens
from app.api import waiting
from app.extensions import db
from app.security import HEADERS
from app.uploads import storage
from config import load_settings
from gallery.catalog import Catalog
from tests.campaigns.fuzz.calls import Caller, Request, targets
from tests.campaigns.fuzz.hostile import MARK, SCRIPTS
from tests.support.databases import migrate
from tests.support.galleries import tiny_index
from tests.support.searches import claimed, finish
from tests.support.servers import RedisUnderTest
from tests.support.web import PASSWORD, Browser, account_id, photo

ENVIRON = {
    "SECRET_KEY": "only for a campaign of requests",
    "MODEL": "tiny",
    "PROXY_HOPS": "1",
    "MAX_PENDING_PER_OWNER": "10000",
    "MAX_QUEUE": "1000000",
    "VISITOR_SEARCHES_PER_MINUTE": "1000000",
    "VISITOR_STORAGE_MB": "100000",
}
REFUSES_BY_ITSELF = "health.ready"  # its 503 reports an outage, not a refusal to retry


class World:
    """One application, its database and its Redis.

    Parameters
    ----------
    directory : Path
        For all its files.
    redis : RedisUnderTest
        A server that runs.
    database_url : str
        Empty for SQLite in `directory`.
    """

    def __init__(self, directory: Path, redis: RedisUnderTest, database_url: str = "") -> None:
        environ = ENVIRON | {"DATA_DIR": str(directory), "REDIS_URL": redis.url, "DATABASE_URL": database_url}
        settings = load_settings(environ)
        migrate(settings)
        tiny_index(settings)
        waiting.MAX_WAIT = 0.01  # no worker runs: a long poll would only wait
        self.redis = redis
        self._logged = _Errors()
        logging.getLogger().addHandler(self._logged)
        self.app: Flask = create_app(settings)
        self.routes = {(method, rule.rule) for method, rule in targets(self.app.url_map)}
        self.reached: set[tuple[str, str]] = set()
        self.app.before_request(self._note)
        self._numbers = itertools.count()
        with Catalog.open(settings.index_dir) as catalog:
            self._items = [catalog.at(row).id for row in range(4)]
        self.callers: list[Caller] = []
        self.renew()

    def close(self) -> None:
        """Close the database and detach from the log."""
        logging.getLogger().removeHandler(self._logged)
        with self.app.app_context():
            db.engine.dispose()

    @contextlib.contextmanager
    def without_redis(self) -> Iterator[None]:
        """Stop Redis until the block ends."""
        self.redis.stop()
        try:
            yield
        finally:
            self.redis.start()

    def ask(self, sent: Request) -> str:
        """Send a request; return what is wrong with the answer, or an empty text."""
        self._logged.lines.clear()
        self._endpoint: str | None = None
        try:
            parts, status, headers = run_wsgi_app(self.app, sent.environ, buffered=True)
        except Exception as error:
            return f"{type(error).__name__} left the application: {error}"
        answer = b"".join(parts)
        number = int(status.split()[0])
        problems = list(self._logged.lines)
        if number >= 500 and not (number == 503 and ("Retry-After" in headers or self._refuses())):
            problems.append(f"status {status}")
        problems += [f"no {name}" for name in HEADERS if name not in headers]
        problems += [f"header {name}: {value!r}" for name, value in headers if "\n" in value or "\r" in value]
        if headers.get("Content-Type", "").startswith("text/html"):
            problems += [f"came through: {script!r}" for script in SCRIPTS[:2] if script in answer]
        problems += [f"cookie {value!r}" for value in headers.getlist("Set-Cookie") if MARK.decode() in value]
        if number == 303 and (self._endpoint or "").startswith("accounts."):
            self._revive()
        return "\n".join(problems)

    def _refuses(self) -> bool:
        return self._endpoint == REFUSES_BY_ITSELF

    def _note(self) -> None:
        self._endpoint = request.endpoint
        if request.url_rule is not None:
            self.reached.add((request.method, request.url_rule.rule))

    def renew(self) -> None:
        """Start anew with other clients: a visitor, two accounts, one with a token too, and a stranger."""
        visitor, one, two = Browser(self.app), self._account(), self._account()
        with self.app.app_context():
            mine = account_id(self.app, self._name)
            token = tokens.create(mine, "campaign")
            token_ids = [str(each.id) for each in tokens.of(mine)]
        public = {"item_id": self._items, "filename": ["css/base.css", "js/main.js"]}
        self.callers = [self._caller(browser, public) for browser in (visitor, one)]
        owner = self._caller(two, public | {"token_id": token_ids})
        self.callers += [owner, Caller(token=token, values=owner.values), Caller(values=owner.values)]

    def _account(self) -> Browser:
        self._name = f"somebody-{next(self._numbers)}"
        browser = Browser(self.app, f"10.255.0.{next(self._numbers) % 250}")
        browser.signup(self._name)
        return browser

    def _caller(self, browser: Browser, values: dict[str, list[str]]) -> Caller:
        searches = [str(search) for search in self._searches(browser)]
        session = browser.client.get_cookie("vitrine_session")
        member = browser.logged_in()
        form = {"csrf_token": browser.token("/account" if member else "/login")}
        return Caller(
            cookie=f"vitrine_session={session.value if session else ''}",
            member=member,
            form=form | {"password": PASSWORD, "current": PASSWORD},
            values=values | {"search_id": searches},
        )

    def _searches(self, browser: Browser) -> Iterator[uuid.UUID]:
        """Yield a search that is done and one that waits."""
        done = browser.searched()
        with self.app.app_context():
            finish(claimed(done), preview=storage.save_preview(io.BytesIO(photo())))
        yield done
        yield browser.searched()

    def _revive(self) -> None:
        """Renew all clients where a request has logged one of them out or deleted an account."""
        client = self.app.test_client(use_cookies=False)
        cookies = [caller.cookie for caller in self.callers if caller.member]
        if any(client.get("/account", headers={"Cookie": cookie}).status_code != 200 for cookie in cookies):
            self.renew()


class _Errors(logging.Handler):
    """Collects what the application logs as an error."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.lines.append(logging.Formatter().format(record))
