"""Guessing passwords and names is slow, with and without Redis, and reveals nothing, and
locks nobody out (rows 45, 46 and 71)."""

from __future__ import annotations

import statistics
import threading
import time
from datetime import UTC, datetime

import pytest
from argon2 import PasswordHasher
from flask import Flask

from app import throttle
from app.accounts import devices
from app.errors import ThrottledError
from app.throttle import PASSWORD_TRIES, Limit
from tests.support.web import BOTH, PASSWORD, TOKEN, Browser

WRONG, LATER = "another-password", "a-new-long-password"
GUESSES = {"sqlite": 10_000, "postgresql": 1_000}
MINUTES = 10
PAIRS = 25


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [1_000_000.0]
    monkeypatch.setattr(throttle, "database_now", lambda _session: datetime.fromtimestamp(now[0], UTC))
    return now


def admitted(clock: list[float], tries: int, seconds: float) -> int:
    """Return how many of `tries`, spread evenly over some seconds, are admitted."""
    passed = 0
    for _ in range(tries):
        try:
            throttle.charge(["bucket"], PASSWORD_TRIES)
            passed += 1
        except ThrottledError:
            pass
        clock[0] += seconds / tries
    return passed


@BOTH
@pytest.mark.usefixtures("context")
def test_row_45_of_ten_thousand_guesses_at_most_ten_a_minute_are_admitted(
    clock: list[float], backend: str
) -> None:
    assert all(admitted(clock, GUESSES[backend] // MINUTES, 60.0) <= 10 for _ in range(MINUTES))


@pytest.mark.usefixtures("context")
def test_row_45_after_the_announced_wait_an_attempt_is_admitted(clock: list[float]) -> None:
    admitted(clock, 20, 1.0)
    with pytest.raises(ThrottledError) as refused:
        throttle.charge(["bucket"], PASSWORD_TRIES)
    clock[0] += refused.value.wait
    throttle.charge(["bucket"], PASSWORD_TRIES)


@pytest.mark.usefixtures("context")
def test_row_45_a_refused_attempt_is_not_counted_in_the_other_bucket(clock: list[float]) -> None:
    limit = Limit(burst=1, interval=60.0)
    throttle.charge(["a"], limit)
    with pytest.raises(ThrottledError):
        throttle.charge(["a", "b"], limit)
    throttle.charge(["b"], limit)


@BOTH
@pytest.mark.usefixtures("context")
def test_row_45_concurrent_attempts_cannot_slip_through(app: Flask) -> None:
    admitted = []

    def guess() -> None:
        with app.app_context():
            try:
                throttle.charge(["bucket"], PASSWORD_TRIES)
                admitted.append(True)
            except ThrottledError:
                pass

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == PASSWORD_TRIES.burst


def test_row_45_an_account_is_protected_from_guesses_from_many_addresses(app: Flask, maria: Browser) -> None:
    answers = [Browser(app, f"192.0.2.{n}").login(password=WRONG).status_code for n in range(8)]
    assert answers == [422] * 5 + [429] * 3


def test_row_45_an_address_is_stopped_from_trying_many_accounts(app: Flask) -> None:
    answers = [Browser(app).login(name=f"person{n}").status_code for n in range(8)]
    assert answers == [422] * 5 + [429] * 3


def test_row_45_another_address_and_account_are_not_affected(app: Flask, maria: Browser) -> None:
    for _ in range(7):
        Browser(app, "192.0.2.1").login(name="someone", password=WRONG)
    assert Browser(app, "192.0.2.2").login().status_code == 303


def test_row_45_one_network_of_ipv6_is_one_address(app: Flask) -> None:
    addresses = [f"2001:db8::{n:x}" for n in range(1, 9)]
    answers = [Browser(app, address).login(name="nobody").status_code for address in addresses]
    assert 429 in answers
    with app.test_request_context(environ_base={"REMOTE_ADDR": "2001:db8::1"}):
        one = throttle.address_bucket("password")
    with app.test_request_context(environ_base={"REMOTE_ADDR": "2001:db8:0:1::1"}):
        assert throttle.address_bucket("password") != one


def test_row_45_an_address_that_a_proxy_hides_is_one_address(app: Flask) -> None:
    answers = [Browser(app, "unknown").login(name=f"person{n}").status_code for n in range(6)]
    assert answers == [422] * 5 + [429]


def test_row_45_logging_in_with_the_right_password_is_never_throttled(app: Flask, maria: Browser) -> None:
    assert [Browser(app).login().status_code for _ in range(12)] == [303] * 12


def test_row_45_a_throttled_guess_learns_how_long_to_wait(app: Flask, maria: Browser) -> None:
    answers = [Browser(app).login(password=WRONG) for _ in range(6)]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert "Wait" in answers[-1].text


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 second,"), (1.0, "1 second,"), (7.6, "8 seconds,")])
def test_the_wait_is_announced_in_correct_english(app: Flask, seconds: float, words: str) -> None:
    with app.test_request_context():
        assert f"Wait {words}" in ThrottledError(seconds).message


def test_row_45_the_right_password_does_not_help_while_throttled(app: Flask, maria: Browser) -> None:
    for _ in range(5):
        Browser(app).login(password=WRONG)
    assert Browser(app).login().status_code == 429


def test_row_45_signing_up_is_throttled_by_address(app: Flask) -> None:
    answers = [Browser(app).signup(f"person{n}").status_code for n in range(throttle.SIGNUPS.burst + 1)]
    assert answers == [303] * throttle.SIGNUPS.burst + [429]


@pytest.fixture
def besieged(app: Flask, maria: Browser) -> Browser:
    """The browser of an account, logged in, whose name strangers guess at from many addresses."""
    answers = [Browser(app, f"192.0.2.{n}").login(password=WRONG).status_code for n in range(20)]
    assert 429 in answers
    return maria


def test_row_71_guesses_by_strangers_do_not_lock_out_a_known_device(app: Flask, besieged: Browser) -> None:
    for _ in range(3):
        besieged.post("/logout")
        assert besieged.login().status_code == 303
    assert Browser(app, "198.51.100.7").login().status_code == 429


def test_row_71_guesses_by_strangers_do_not_touch_an_open_session(besieged: Browser) -> None:
    assert besieged.post("/account/password", {"current": WRONG, "password": LATER}).status_code == 422
    assert besieged.post("/account/password", {"current": PASSWORD, "password": LATER}).status_code == 303
    besieged.post("/logout")
    assert besieged.login(password=LATER).status_code == 303
    assert besieged.post("/account/delete", {"password": LATER}).status_code == 303


def test_row_71_neighbours_behind_one_address_do_not_lock_out_a_known_device(
    app: Flask, maria: Browser
) -> None:
    maria.post("/logout")
    for n in range(8):
        Browser(app).login(name=f"person{n}")
    assert maria.login().status_code == 303


def test_row_71_guesses_on_a_known_device_and_in_an_open_session_are_limited(maria: Browser) -> None:
    sent = {"current": WRONG, "password": LATER}
    pages = [maria.post("/account/password", sent).text for _ in range(6)]
    assert ["Incorrect password." in page for page in pages] == [True] * 5 + [False]
    assert "Too many attempts" in pages[-1]
    maria.post("/logout")
    assert [maria.login(password=WRONG).status_code for _ in range(7)] == [422] * 5 + [429] * 2


def test_row_71_the_device_of_another_account_or_a_forged_one_is_a_stranger(
    app: Flask, besieged: Browser
) -> None:
    thief = Browser(app, "198.51.100.7")
    thief.signup("mallory")
    thief.post("/logout")
    assert thief.login(name="maria").status_code == 429
    thief.client.set_cookie(devices.COOKIE, "eyIxIjpbIngiLCJ5Il19.aaaaaa.bbbb")
    assert thief.login(name="maria").status_code == 429


def test_row_71_a_new_password_makes_strangers_of_devices_that_knew_the_old_one(
    app: Flask, maria: Browser
) -> None:
    other = Browser(app)
    other.login()
    other.post("/logout")
    maria.post("/account/password", {"current": PASSWORD, "password": LATER})
    for n in range(8):
        Browser(app, f"192.0.2.{n}").login(password=WRONG)
    assert other.login(password=LATER).status_code == 429
    maria.post("/logout")
    assert maria.login(password=LATER).status_code == 303


@BOTH
@pytest.mark.usefixtures("context")
def test_row_73_a_clock_that_is_set_back_does_not_lock_the_bucket_for_that_long(clock: list[float]) -> None:
    admitted(clock, 20, 1.0)
    clock[0] -= 3600.0
    assert admitted(clock, 20, 1.0) == 1
    assert admitted(clock, 60, 60.0) in (4, 5)


@BOTH
def test_row_46_an_unknown_name_and_a_wrong_password_get_the_same_answer(app: Flask, maria: Browser) -> None:
    browser = Browser(app)
    unknown, wrong = browser.login(name="nobody"), browser.login(password=WRONG)
    assert unknown.status_code == wrong.status_code == 422
    assert "Incorrect name or password." in unknown.text
    pages = [TOKEN.sub("", answer.text) for answer in (unknown, wrong)]
    assert pages[0].replace("nobody", "maria") == pages[1]


def test_row_46_an_unknown_name_costs_as_much_hashing_as_a_known_one(
    app: Flask, maria: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    genuine = PasswordHasher.verify

    def verify(hasher: PasswordHasher, stored: str, given: bytes) -> bool:
        hashed.append(stored)
        return genuine(hasher, stored, given)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    browser = Browser(app)
    for name in ("maria", "nobody", "a\0b", "аdmin"):
        browser.login(name=name, password=WRONG)
    assert len(hashed) == 4
    assert {stored.split("$")[3] for stored in hashed} == {"m=19456,t=2,p=1"}


def test_row_46_an_unknown_name_takes_as_long_as_a_known_one(
    app: Flask, maria: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured in CPU time of this thread, which other work on the machine does not change."""
    monkeypatch.setattr(throttle, "charge", lambda *_: None)
    browser, spent = Browser(app), {"maria": [], "nobody": []}
    browser.login(name="nobody", password=WRONG)
    for _ in range(PAIRS):
        for name, times in spent.items():
            began = time.thread_time()
            assert browser.login(name=name, password=WRONG).status_code == 422
            times.append(time.thread_time() - began)
    known, unknown = (statistics.median(times) for times in spent.values())
    assert 0.9 < unknown / known < 1.1
